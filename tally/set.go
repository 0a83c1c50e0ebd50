package tally

import (
	"maps"
	"slices"
	"sync"
)

// Set has the tallies of a process. Its methods may be called concurrently.
type Set struct {
	mu sync.Mutex
	// Guarded by mu.
	routes map[string]*Route
	apps   map[string]*App
	errors map[EngineCall]uint64
}

// EngineCall is what an engine was asked for.
type EngineCall struct{ Engine, Operation string }

// The operations of an engine.
var engineOperations = []string{"open", "load", "swap", "delete", "list", "count", "unused"}

// NewSet returns a set in which nothing is counted yet.
func NewSet() *Set {
	return &Set{routes: make(map[string]*Route), apps: make(map[string]*App), errors: make(map[EngineCall]uint64)}
}

// Route returns the tally of the routes with a name.
func (s *Set) Route(name string) *Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.routes[name]
	if r == nil {
		r = NewRoute()
		s.routes[name] = r
	}
	return r
}

// App returns the tally of an app.
func (s *Set) App(name string) *App {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[name]
	if a == nil {
		a = new(App)
		s.apps[name] = a
	}
	return a
}

// Engine has an engine counted, from 0.
func (s *Set) Engine(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, operation := range engineOperations {
		s.errors[EngineCall{name, operation}] += 0
	}
}

// EngineError counts a call that has failed.
func (s *Set) EngineError(call EngineCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errors[call]++
}

// Routes returns the tallies of routes by their names.
func (s *Set) Routes() map[string]*Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.routes)
}

// Apps returns the tallies of apps by their names.
func (s *Set) Apps() map[string]*App {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.apps)
}

// EngineErrors returns how many calls have failed.
func (s *Set) EngineErrors() map[EngineCall]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.errors)
}

// Work returns how large batches were and how long their commits took, in all apps.
func (s *Set) Work() (batches, durations Histogram) {
	for _, a := range slices.Collect(maps.Values(s.Apps())) {
		a.addWork(&batches, &durations)
	}
	return batches, durations
}
