package hub_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

const tooManyRooms = "error: no more rooms can be stored"

// The limit of stored rooms is of the rooms of all nodes, whichever of them stores a room, and
// whichever deletes it.
func TestNodesHaveOneLimitOfRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 3
		c := newCommon()
		ra, rb := hubtest.Route(hubtest.NewCounterApp()), hubtest.Route(hubtest.NewCounterApp())
		a, endA := startNode(t, c.node(), hub.Limits{MaxStoredRooms: most}, ra)
		defer endA()
		b, endB := startNode(t, c.node(), hub.Limits{MaxStoredRooms: most}, rb)
		defer endB()
		for i := range 5 { // what b deletes takes no place on a
			name := fmt.Sprint("passing ", i)
			hubtest.Post(t, a, ra, name, "op", "1")
			synctest.Wait()
			if _, err := b.DeleteRoom(t.Context(), engines.Key{App: ra.AppName, Room: name}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range most {
			hubtest.Post(t, b, rb, fmt.Sprint("room ", i), "op", "1")
		}
		hubtest.Post(t, b, rb, "another", "op", tooManyRooms)
		time.Sleep(time.Minute) // before that a may not know what b has stored
		hubtest.Post(t, a, ra, "another", "op", tooManyRooms)
		if n, ok := a.StoredRooms(t.Context()); n != most || !ok {
			t.Errorf("%d rooms are stored, %v", n, ok)
		}
		if _, err := b.DeleteRoom(t.Context(), engines.Key{App: ra.AppName, Room: "room 0"}); err != nil {
			t.Fatal(err)
		}
		hubtest.Post(t, a, ra, "another", "op", "1")
	})
}

// slowCount is an engine whose Count waits.
type slowCount struct {
	engines.Engine
	begun chan struct{}
	pass  chan struct{}
}

func (e *slowCount) Count(ctx context.Context) (int, error) {
	n, err := e.Engine.Count(ctx)
	e.begun <- struct{}{}
	<-e.pass
	return n, err
}

// While rooms are counted others may be deleted, without waiting. They then are counted again.
func TestRoomsAreDeletedWhileTheyAreCounted(t *testing.T) {
	e := &slowCount{Engine: new(memory.Engine), begun: make(chan struct{}), pass: make(chan struct{})}
	key := engines.Key{App: "test", Room: "room"}
	if _, err := e.Swap(t.Context(), key, 0, engines.Value{State: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	w := hubtest.New(t, e, hub.Limits{MaxStoredRooms: 1})
	if err := w.Hub.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	counted := make(chan int)
	count := func() {
		n, ok := w.Hub.StoredRooms(context.Background())
		if !ok {
			t.Error("the rooms are not counted")
		}
		counted <- n
	}
	go count()
	<-e.begun
	if _, err := w.Hub.DeleteRoom(t.Context(), key); err != nil {
		t.Error(err)
	}
	e.pass <- struct{}{}
	<-counted
	go count()
	<-e.begun
	e.pass <- struct{}{}
	if n := <-counted; n != 0 {
		t.Errorf("%d rooms are stored", n)
	}
}
