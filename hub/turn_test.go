package hub

import (
	"testing"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/message"
)

// broken is a connection that panics when it is sent messages.
type broken struct{ *answer }

func (broken) Write(*message.Batch) bool { panic("broken") }

// A panic while messages are sent leaves neither their publisher held nor the
// operations of the same turn undone.
func TestAPanicOfSendingLetsThePublisherGo(t *testing.T) {
	h := New(new(memory.Engine), Limits{}, zap.NewNop)
	r := newRoom(h, engines.Key{App: "test", Room: "room"}, NewRoute("", "", Config{}))
	r.refs.Add(1)
	publisher := &Member{room: r, conn: newAnswer()}
	publisher.conn.Hold(0) // as Ask does
	r.add(&Member{room: r, conn: broken{newAnswer()}})
	r.publish(publisher, apps.Text("hello"), nil)
	publisher.conn.Release(0)
	select {
	case <-publisher.conn.(*answer).done:
	default:
		t.Error("the publisher is still held")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running || r.busy() {
		t.Errorf("the room is still running: %v, or busy: %v", r.running, r.busy())
	}
}
