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
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// An app that says how often updates are told says it for those of other nodes, too.
func TestUpdatesOfOtherNodesArePaced(t *testing.T) {
	c := newCommon()
	pace := func() time.Duration { return time.Second }
	hubtest.InBubble(t, c.node(), hub.Limits{}, func(t *testing.T, near hubtest.Bubble) {
		far := hub.New(hubtest.Opens(c.node()), hub.Limits{}, zap.NewNop)
		app, same := hubtest.NewCounterApp(), hubtest.NewCounterApp()
		app.Pace, same.Pace = pace, pace
		sender := near.Client(t, hubtest.Route(app))
		listener := hubtest.Bubble{Hub: far}.Client(t, hubtest.Route(same))
		var told atomic.Int64
		var last atomic.Value
		go func() {
			for text, err := listener.ReadText(); err == nil; text, err = listener.ReadText() {
				told.Add(1)
				last.Store(text)
			}
		}()
		for i := range 100 {
			sender.Send("1")
			sender.Expect(fmt.Sprint(i + 1))
			time.Sleep(30 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if n := told.Load(); n < 3 || n > 5 || last.Load() != "100" {
			t.Errorf("in five seconds %d updates are told, the last is %v", n, last.Load())
		}
		sender.Close()
		listener.Close()
		synctest.Wait()
		if err := far.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
			t.Error(err)
		}
	})
}

// lost is an engine whose servers may be away: it tries until the context ends.
type lost struct {
	*node
	away atomic.Bool
}

func (e *lost) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	if e.away.Load() {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	return e.node.Load(ctx, key)
}

func (e *lost) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	if e.away.Load() {
		<-ctx.Done()
		return 0, errors.Join(engines.ErrRefused, ctx.Err())
	}
	return e.node.Swap(ctx, key, rev, v)
}

// While the engine is away, an operation waits for the turn under way and for its own, which
// have ten seconds each, however much else the room would like to know.
func TestOperationsWhileTheEngineIsAway(t *testing.T) {
	c := newCommon()
	e := &lost{node: c.node()}
	hubtest.InBubble(t, e, hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		m := b.Client(t, hubtest.Route(hubtest.NewCounterApp()))
		m.Send("1")
		m.Expect("1")
		synctest.Wait()
		e.away.Store(true)
		c.tellOne(e.node, engines.Event{Rev: 1000})
		time.Sleep(12 * time.Second)
		for range 6 {
			begun := time.Now()
			m.Send("1")
			m.Expect("error: unavailable, try again later")
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("the answer takes %v", took)
			}
			time.Sleep(100 * time.Millisecond)
		}
		e.away.Store(false)
		time.Sleep(20 * time.Second)
		m.Send("1")
		m.Expect("2")
		m.Close()
	})
}
