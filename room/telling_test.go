package room

import (
	"testing"

	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/tally"
)

// Members are told of every hole in what is fresh, and only what comes behind the last one is
// recent. What an engine has lost is a hole, too.
func TestHolesAreTold(t *testing.T) {
	for _, test := range []struct {
		name        string
		before, now uint64
		fresh       []uint64
		gaps        int
		recent      int
	}{
		{"none", 3, 5, []uint64{4, 5}, 0, 2},
		{"before the first", 3, 7, []uint64{6, 7}, 1, 2},
		{"in the middle", 3, 9, []uint64{4, 5, 8, 9}, 1, 2},
		{"two", 3, 9, []uint64{5, 7, 8, 9}, 2, 3},
		{"lost", 9, 7, nil, 1, 0},
		{"lost, and more", 9, 8, []uint64{8}, 1, 1},
	} {
		r := &Room{shared: new(Shared), tally: new(tally.Part)}
		var fresh []replica.Kept
		for _, v := range test.fresh {
			fresh = append(fresh, replica.Kept{Version: v})
		}
		told := r.newTelling(snapshot{epoch: "E", version: test.before}, snapshot{epoch: "E", version: test.now}, fresh)
		if got := told.messages.Len() - len(fresh); got != test.gaps || len(r.recent.messages) != test.recent {
			t.Errorf("%s: %d gaps, %d are recent: %s", test.name, got, len(r.recent.messages), told.messages.Bytes(message.Form{}))
		}
	}
}
