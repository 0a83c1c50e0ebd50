package caddyws

import "sync"

// Responses of the admin API that take their time. Caddy waits for them when it replaces
// the admin endpoint, and when it ends.
var (
	adminTraces  = endless{all: make(map[*func()]bool)}
	adminBackups = endless{all: make(map[*func()]bool)}
)

// endless are responses that somebody has to end.
type endless struct {
	mu  sync.Mutex
	all map[*func()]bool // guarded by mu; each ends one
}

// enter notes a response by what ends it, and returns what notes its end.
func (e *endless) enter(end func()) (leave func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all[&end] = true
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.all, &end)
	}
}

// endAll ends all responses. It does not wait for that.
func (e *endless) endAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for end := range e.all {
		(*end)()
	}
}
