package room

import (
	"testing"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/tally"
)

// emptyRoom returns a room without state, and members that are not in it yet.
func emptyRoom(members int) (*Room, []*Member) {
	r := New(engines.Key{App: "test", Room: "room"}, route.New("", "", route.Config{}), &Shared{Log: zap.NewNop, Idle: func(*Room) {}, Tally: tally.NewSet()})
	all := make([]*Member, members)
	for i := range all {
		all[i] = &Member{room: r, route: r.route, conn: NewExchange(), place: -1}
	}
	return r, all
}

// Each member is found at its place, whoever leaves, and leaving twice takes nobody
// else out.
func TestMembersComeAndGo(t *testing.T) {
	r, all := emptyRoom(5)
	for _, m := range all {
		m.Exit() // before it has entered
		m.Enter()
	}
	for i, leaver := range []int{1, 4, 0} {
		all[leaver].Exit()
		all[leaver].Exit()
		if n := len(r.Members()); n != 4-i {
			t.Fatalf("%d members after %d have left", n, i+1)
		}
		for place, m := range r.members {
			if int(m.place) != place {
				t.Errorf("member at %d believes to be at %d", place, m.place)
			}
		}
	}
	if left := r.Members(); left[0] == left[1] || left[0] != all[2] && left[1] != all[2] || left[0] != all[3] && left[1] != all[3] {
		t.Errorf("the wrong members have left")
	}
}

// A code that RFC 6455 has no place for is a fault of the app.
func TestCloseCodesOfApps(t *testing.T) {
	for code, want := range map[int]frames.CloseCode{
		-1: frames.InternalError, 0: 0, 1000: 1000, 4999: 4999, 5000: frames.InternalError, 1 << 16: frames.InternalError, 1<<16 + 1000: frames.InternalError,
	} {
		if got := closeCode(code); got != want {
			t.Errorf("%d became %d, want %d", code, got, want)
		}
	}
}
