package hubtest

import (
	"context"

	"github.com/caddyws/caddy-websocket/engines"
)

// opener opens an engine of a test's own.
type opener struct{ engine engines.Engine }

// Opens returns an opener of the engine.
func Opens(engine engines.Engine) engines.Opener { return opener{engine} }

// Identity is the same for all.
func (opener) Identity() string { return "" }

// IsShared reports whether the engine is.
func (o opener) IsShared() bool {
	_, shared := o.engine.(engines.Shared)
	return shared
}

// Open returns the engine.
func (o opener) Open(context.Context) (engines.Engine, error) { return o.engine, nil }
