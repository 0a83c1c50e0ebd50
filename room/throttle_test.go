package room_test

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/sum"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
)

// Between two updates the others hear nothing, the sender each of its replies;
// then they hear the last one only.
func TestPacedUpdatesAreToldOnceInTheirTime(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(&sum.App{Interval: caddy.Duration(time.Minute)})
	listener, sender := w.Join(route), w.Join(route)
	sender.Send("1")
	sender.Expect("1")
	listener.Expect("1")
	for _, total := range []string{"2", "3", "4"} {
		sender.Send("1")
		sender.Expect(total)
	}
	late := w.JoinJSON(route)
	if s, err := late.ReadSaid(); err != nil || s.Total != "4" {
		t.Fatalf("who joins meanwhile is shown %+v, %v", s, err)
	}
	room.Wake(sender.Member.Room())
	listener.Expect("4")
	listener.Send("1")
	listener.Expect("5")
	sender.Send("1")
	sender.Expect("6") // it knew of 4 by its own reply, and is not told of 5 yet
	room.Wake(sender.Member.Room())
	listener.Expect("6")
	if s, err := late.ReadSaid(); err != nil || s.Total != "6" {
		t.Fatalf("who had joined meanwhile is told %+v, %v", s, err)
	}
}

// Without anything that happens, the last update is told by the clock.
func TestThePaceTellsTheLastUpdate(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(&sum.App{Interval: caddy.Duration(10 * time.Millisecond)})
	listener, sender := w.JoinJSON(route), w.Join(route)
	for range 50 {
		sender.Send("1")
	}
	for {
		s, err := listener.ReadSaid()
		if err != nil {
			t.Fatal(err)
		}
		if s.Total == "50" {
			return
		}
	}
}

// updatingApp is a counter whose updates are not its view.
type updatingApp struct{ *hubtest.CounterApp }

func (a updatingApp) NewState() apps.State { return updating{a.CounterApp.NewState()} }

type updating struct{ apps.State }

func (s updating) Apply(op apps.Op) (apps.Outcome, error) {
	out, err := s.State.Apply(op)
	out.Update.Text = append([]byte("now "), out.Update.Text...)
	return out, err
}

// What waits for its time is the last update, as the app has made it.
func TestPacedUpdatesAreThoseOfTheApp(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	app := updatingApp{hubtest.NewCounterApp()}
	app.Pace = func() time.Duration { return time.Minute }
	rt := hubtest.Route(app)
	listener, sender := w.Join(rt), w.Join(rt)
	for _, reply := range []string{"1", "2", "3"} {
		sender.Send("op")
		sender.Expect(reply)
	}
	listener.Expect("now 1")
	room.Wake(sender.Member.Room())
	listener.Expect("now 3")
}
