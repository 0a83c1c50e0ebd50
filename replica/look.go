package replica

import (
	"bytes"
	"context"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// Stored is what is known of a stored room without asking its app.
type Stored struct {
	Version uint64
	Size    int       // bytes that the engine keeps for it
	Used    time.Time // when it was last used, as far as is stored; zero if that is not known
	Route   string    // name of the route that has last stored it; empty if that is not known
}

// Look tells what is stored of a room. The error is engines.ErrNotFound if nothing is.
func (s *Store) Look(ctx context.Context, key engines.Key) (found Stored, err error) {
	defer recovered(&err)
	p, _, err := s.Engine.Load(ctx, key)
	s.note("load", err)
	if err != nil {
		return Stored{}, err
	}
	found.Size = len(p)
	e, err := parseEnvelope(p)
	if err != nil {
		return found, err
	}
	found.Version, found.Route = e.version, e.route
	if bytes.HasPrefix(e.app, journalMark) { // its newest messages are in the log alone
		_, _, last, err := s.readLog(ctx, key, e.epoch, e.version, 0)
		if err != nil {
			return found, err
		}
		found.Version = max(e.version, last)
	}
	if e.used != 0 {
		found.Used = time.Unix(e.used, 0).UTC()
	}
	return found, nil
}
