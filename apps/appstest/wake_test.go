package appstest_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
)

// ringing has a state that is to be woken a minute after each message, and counts that.
type ringing struct{ noting }

func (*ringing) NewState() apps.State { return new(bell) }

type bell struct {
	note
	rings int
}

func (b *bell) Wake() time.Time {
	if b.at.IsZero() {
		return time.Time{}
	}
	return b.at.Add(time.Minute)
}

func (b *bell) Apply(op apps.Op) (apps.Outcome, error) {
	if op.Wake {
		b.at = time.Time{}
		b.rings++
		return apps.Outcome{}, nil
	}
	return b.note.Apply(op)
}

func (b *bell) View() apps.Body { return apps.Body{Text: []byte(strconv.Itoa(b.rings))} }

// The room is woken at the very moment at which the state is looked at: which of the two is
// first is decided anew each time.
func TestStateThatIsDueNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, new(ringing))
		room.Join() // so that it stays in memory
		for rings := range 300 {
			room.ExpectState(strconv.Itoa(rings))
			room.Post("x")
			time.Sleep(time.Minute)
			room.ExpectState(strconv.Itoa(rings + 1))
		}
	})
}
