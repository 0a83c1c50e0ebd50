package hub_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
)

// remote is an opener of an engine that is there from a time on. Before, it has an error.
type remote struct {
	from  time.Time
	err   error
	tries atomic.Int64
}

func (*remote) Identity() string { return "" }

func (r *remote) Open(context.Context) (engines.Engine, error) {
	r.tries.Add(1)
	if time.Now().Before(r.from) {
		return nil, r.err
	}
	return new(memory.Engine), nil
}

// withRemote runs a test in a bubble with a hub over an engine that is there after a time.
func withRemote(t *testing.T, after time.Duration, err error, test func(t *testing.T, h *hub.Hub, r *remote)) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{from: time.Now().Add(after), err: err}
		h := hub.New(r, hub.Limits{}, zap.NewNop)
		test(t, h, r)
		if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
			t.Error(err)
		}
	})
}

var errAway = fmt.Errorf("dialing: %w", engines.ErrUnavailable)

// An engine that cannot be reached is opened when it can, without a visitor, and until then
// visitors are told at once without another attempt.
func TestAnEngineIsOpenedWhenItCanBeReached(t *testing.T) {
	withRemote(t, 20*time.Second, errAway, func(t *testing.T, h *hub.Hub, r *remote) {
		if err := h.Open(t.Context()); !errors.Is(err, engines.ErrUnavailable) {
			t.Fatal(err)
		}
		synctest.Wait()
		rt, before, began := hubtest.Route(hubtest.NewCounterApp()), r.tries.Load(), time.Now()
		for range 100 {
			if _, err := h.View(t.Context(), rt, "room"); !errors.Is(err, room.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if r.tries.Load() != before || !time.Now().Equal(began) {
			t.Errorf("%d visits made %d attempts in %v", 100, r.tries.Load()-before, time.Since(began))
		}
		time.Sleep(20 * time.Second)
		if r.tries.Load() > 10 {
			t.Errorf("%d attempts in 20 s", r.tries.Load())
		}
		time.Sleep(15 * time.Second)
		last := r.tries.Load()
		if err := h.Open(t.Context()); err != nil || r.tries.Load() != last {
			t.Errorf("opening: %v, with %d more attempts", err, r.tries.Load()-last)
		}
		if _, err := h.View(t.Context(), rt, "room"); err != nil {
			t.Error(err)
		}
	})
}

// Any other error is for somebody to mend: visitors make attempts, one in some seconds, and
// nobody else.
func TestOtherErrorsOfOpenAreNotTriedAgain(t *testing.T) {
	withRemote(t, time.Hour, errors.New("foreign file"), func(t *testing.T, h *hub.Hub, r *remote) {
		for want := int64(1); want < 4; want++ {
			if err := h.Open(t.Context()); err == nil || r.tries.Load() != want {
				t.Errorf("%v after %d attempts, want %d", err, r.tries.Load(), want)
			}
			for range 20 {
				time.Sleep(100 * time.Millisecond)
				if err := h.Open(t.Context()); err == nil || r.tries.Load() != want {
					t.Errorf("%v after %d attempts, want %d", err, r.tries.Load(), want)
				}
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// An engine that can never be reached does not keep a hub from closing.
func TestCloseEndsTheAttempts(t *testing.T) {
	var tries *remote
	withRemote(t, time.Hour, errAway, func(t *testing.T, h *hub.Hub, r *remote) {
		tries = r
		if err := h.Open(t.Context()); err == nil {
			t.Error("it is open")
		}
	})
	if n := tries.tries.Load(); n != 1 {
		t.Errorf("%d attempts", n)
	}
}
