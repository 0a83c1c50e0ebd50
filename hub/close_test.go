package hub_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
)

// Members are sent away with 1001, also who was still on his way in, and Close
// waits for them all.
func TestCloseSendsEverybodyAway(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(hubtest.NewCounterApp())
	in := w.Join(route)
	onTheWay, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- w.CloseHub() }()
	in.ExpectClose(frames.GoingAway)
	if _, err := w.Hub.Join(context.Background(), route, room.Visitor{Room: "room"}); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("joining a closed hub: %v", err)
	}
	in.Close()
	select {
	case err := <-closed:
		t.Fatalf("Close returned %v before the last member was gone", err)
	default:
	}
	late := w.Serve(onTheWay)
	late.ExpectClose(frames.GoingAway)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// A visitor that is in the app's Join when the hub closes is waited for: the engine is
// closed afterwards.
func TestCloseWaitsForVisitorsThatJoin(t *testing.T) {
	e := &closable{Engine: hubtest.NewEngine(), closed: make(chan struct{})}
	w := hubtest.New(t, e)
	app := hubtest.NewCounterApp()
	joining, pass := make(chan struct{}), make(chan struct{})
	app.OnJoin = func(apps.Conn) error {
		close(joining)
		<-pass
		select {
		case <-e.closed:
			t.Error("the engine is closed")
		default:
		}
		return errors.New("no")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := w.Hub.Join(context.Background(), hubtest.Route(app), room.Visitor{Room: "room"})
		if !errors.Is(err, room.ErrForbidden) {
			t.Error(err)
		}
	})
	<-joining
	wg.Go(func() {
		if err := w.CloseHub(); err != nil {
			t.Error(err)
		}
	})
	hubtest.Until(t, "the hub to let nobody in", func() bool {
		_, err := w.Hub.View(context.Background(), hubtest.Route(app), "other")
		return errors.Is(err, hub.ErrClosed)
	})
	close(pass)
	wg.Wait()
	<-e.closed
}

// closable is an engine that tells when it is closed.
type closable struct {
	*hubtest.Engine
	closed chan struct{}
}

func (e *closable) Close() error {
	close(e.closed)
	return e.Engine.Close()
}
