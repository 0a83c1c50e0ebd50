package nats

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// bell is an app whose rooms ring once, at a time.
type bell struct{ at time.Time }

func (b *bell) NewState() apps.State { return &ringing{bell: b} }

func (*bell) Receive(c apps.Conn, m apps.Message) error {
	c.Room().Apply(c, m.Data)
	return nil
}

type ringing struct {
	bell *bell
	text string
}

func (r *ringing) Wake() (at time.Time) {
	if r.text == "wound up" {
		at = r.bell.at
	}
	return at
}

func (r *ringing) Apply(op apps.Op) (apps.Outcome, error) {
	r.text = "wound up"
	if op.Wake {
		r.text = "has rung"
	}
	return apps.Outcome{Reply: r.View()}, nil
}

func (r *ringing) View() apps.Body                { return apps.Body{Text: []byte(r.text)} }
func (r *ringing) MarshalBinary() ([]byte, error) { return []byte(r.text), nil }
func (r *ringing) UnmarshalBinary(p []byte) error { r.text = string(p); return nil }

// counted is an engine whose calls are counted.
type counted struct {
	*Engine
	loads, swaps, beaten atomic.Int64
}

func (c *counted) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	c.loads.Add(1)
	return c.Engine.Load(ctx, key)
}

func (c *counted) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	c.swaps.Add(1)
	next, err := c.Engine.Swap(ctx, key, rev, v)
	if errors.Is(err, engines.ErrConflict) {
		c.beaten.Add(1)
	}
	return next, err
}

// Three nodes know of 500 rooms that are due at the same time, and nobody is in them. Each is
// woken once.
func TestRoomsThatAreDueOnThreeNodes(t *testing.T) {
	const rooms = 500
	o := &Opener{URLs: []string{startServer(t, serverOptions(t)).ClientURL()}, Bucket: newBucket()}
	app := &bell{time.Now().Add(5 * time.Second)}
	rt := route.New("bell", "test", route.Config{App: app, Named: true, Settings: hubtest.Route(app).Config().Settings})
	var nodes []*counted
	var first *hubtest.World
	for i := range 3 {
		e := &counted{Engine: openEngine(t, o)}
		nodes = append(nodes, e)
		w := hubtest.New(t, e)
		if i == 0 {
			first = w
			windUp(t, w, rt, rooms)
		}
		if err := w.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Begin([]*route.Route{rt})
	}
	hubtest.Until(t, "all bells to ring", func() bool {
		due, err := nodes[0].Due(t.Context(), app.at.Add(time.Hour), engines.Wake{}, 1)
		return err == nil && len(due) == 0
	})
	for n := range rooms {
		view, err := first.View(t.Context(), rt, fmt.Sprint(n))
		if err != nil || string(view.Text) != "has rung" || view.Version != 2 {
			t.Errorf("room %d: %s, version %d, %v", n, view.Text, view.Version, err)
		}
	}
	for i, e := range nodes {
		t.Logf("node %d: %d times loaded, %d times swapped, %d times beaten", i, e.loads.Load(), e.swaps.Load(), e.beaten.Load())
	}
}

// windUp has the bells of rooms ring at their time.
func windUp(t *testing.T, w *hubtest.World, rt *route.Route, rooms int) {
	t.Helper()
	var work errgroup.Group
	work.SetLimit(16)
	for n := range rooms {
		work.Go(func() error {
			_, err := w.Ask(t.Context(), rt, room.Visitor{Room: fmt.Sprint(n)}, apps.Text("wind up"), nil)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}
}
