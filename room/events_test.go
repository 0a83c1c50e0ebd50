package room_test

import (
	"context"
	"testing"

	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// The ID of an app's event is not that of the state that follows it: a client
// that loses its connection between the two, and comes back with the event's, is
// shown the state; with the state's it is not.
func TestACutBehindAnEventHidesNothing(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(hubtest.NewCounterApp())
	sender, first := w.Join(route), w.Follow(route, "")
	view, err := w.Hub.View(context.Background(), route, "room")
	if err != nil {
		t.Fatal(err)
	}
	epoch := view.Epoch
	first.Expect("id: " + epoch + "-0|data: 0")
	sender.Send("event")
	sender.Expect("1", "event 1")
	event, state := epoch+"-1-2", epoch+"-1" // the first event of the operation is empty
	first.Expect("id: "+event+"|event: event|data: event 1", "id: "+state+"|data: 1")

	cut, ended := w.Follow(route, event), w.Follow(route, state)
	cut.Expect("id: " + state + "|data: 1")
	sender.Send("op")
	sender.Expect("2")
	cut.Expect("id: " + epoch + "-2|data: 2")
	ended.Expect("id: " + epoch + "-2|data: 2")
}
