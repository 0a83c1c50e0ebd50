package room_test

import (
	"sync/atomic"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// showingApp is a counter whose update is its view.
type showingApp struct {
	*hubtest.CounterApp
	views atomic.Int64 // how often they were asked for
}

func (a *showingApp) NewState() apps.State { return &showing{a.CounterApp.NewState(), a} }

type showing struct {
	apps.State
	app *showingApp
}

func (s *showing) Apply(op apps.Op) (apps.Outcome, error) {
	out, err := s.State.Apply(op)
	out.Update, out.Show = apps.Body{}, err == nil && string(op.Data) != "quiet"
	return out, err
}

func (s *showing) View() apps.Body {
	s.app.views.Add(1)
	return s.State.View()
}

// A view that is the update is built once for all operations of a commit, and a commit
// without such an operation tells nobody of it.
func TestTheViewIsTheUpdate(t *testing.T) {
	w, _, _, g := gated(t)
	app := &showingApp{CounterApp: hubtest.NewCounterApp()}
	route := hubtest.Route(app)
	sender, other := w.Join(route), w.Join(route)
	sender.Send("op")
	<-g.Taken
	for range 3 {
		sender.Send("op")
	}
	waiting(t, w, 8)
	before := app.views.Load()
	g.Pass <- nil
	other.Expect("1")
	<-g.Taken
	g.Pass <- nil
	sender.Expect("1", "2", "3", "4")
	other.Expect("4")
	if n := app.views.Load() - before; n != 1 {
		t.Errorf("the view was built %d times for a commit of three operations", n)
	}
	sender.Send("quiet")
	<-g.Taken
	g.Pass <- nil
	sender.Expect("5")
	probe(other)
	other.Expect("probe")
}
