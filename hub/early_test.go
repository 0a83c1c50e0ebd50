package hub

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps/echo"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// As a trace begins a member may be noted twice, or leave before it is noted.
func TestATraceNotesEachMemberOnce(t *testing.T) {
	h := New(nil, Limits{}, zap.NewNop)
	c, err := h.Join(context.Background(), route.New("test", "test", route.Config{App: new(echo.App)}), room.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	note, forget := (*Trace).note, (*Trace).forget
	for i, steps := range [][]func(*Trace, *room.Member){{note, note, forget}, {forget, note}, {note, forget, forget}} {
		tr := &Trace{members: make(map[uint64]engines.Key), rooms: make(map[engines.Key]int), early: make(map[uint64]bool)}
		for _, step := range steps {
			step(tr, c.Member)
		}
		if len(tr.members) != 0 || len(tr.rooms) != 0 {
			t.Errorf("%d: %v in %v are left", i, tr.members, tr.rooms)
		}
	}
	c.Abandon()
	if err := h.Close(time.Second, frames.GoingAway, ""); err != nil {
		t.Error(err)
	}
}
