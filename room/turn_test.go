package room

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/tally"
)

// broken is a connection that panics when it is sent messages.
type broken struct{ *Exchange }

func (broken) Write(*message.Batch) bool { panic("broken") }

// A panic while messages are sent leaves neither their publisher held nor the
// operations of the same turn undone.
func TestAPanicOfSendingLetsThePublisherGo(t *testing.T) {
	r := New(engines.Key{App: "test", Room: "room"}, route.New("", "", route.Config{}), &Shared{Log: zap.NewNop, Idle: func(*Room) {}, Tally: tally.NewSet()})
	r.Retain()
	publisher := &Member{room: r, conn: NewExchange()}
	publisher.conn.Hold(0) // as Ask does
	(&Member{room: r, conn: broken{NewExchange()}}).Enter()
	r.publish(publisher, apps.Text("hello"), nil)
	publisher.conn.Release(0)
	select {
	case <-publisher.conn.(*Exchange).done:
	default:
		t.Error("the publisher is still held")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running || r.busy() {
		t.Errorf("the room is still running: %v, or busy: %v", r.running, r.busy())
	}
}

// A panic that nobody has caught closer by is logged, and the room goes on.
func TestAPanicInATurn(t *testing.T) {
	r, all := emptyRoom(1)
	core, logs := observer.New(zap.ErrorLevel)
	log := zap.New(core)
	r.shared.Log = func() *zap.Logger { return log }
	r.Retain()
	all[0].Enter()
	r.mu.Lock()
	r.arrivals = []*Member{nil} // which there never is
	r.engage()
	r.mu.Unlock()
	r.kick()
	if n, err := r.Say(t.Context(), apps.Text("hello")); n != 1 || err != nil || logs.Len() != 1 {
		t.Errorf("%d members, %v, %d lines", n, err, logs.Len())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running || r.busy() || r.refs.Load() != 1 {
		t.Errorf("the room is still running: %v, or busy: %v, with %d references", r.running, r.busy(), r.refs.Load())
	}
}
