package hub_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// stay lets a member in whose connection never starts.
func stay(t *testing.T, h *hub.Hub, rt *route.Route, v room.Visitor) *hub.Connection {
	t.Helper()
	c, err := h.Join(context.Background(), rt, v)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// listAll asks for page after page and returns the users.
func listAll(h *hub.Hub, n int) (users []string) {
	for after := uint64(0); ; {
		page := h.PageOfMembers(hub.Filter{}, after, n)
		for _, m := range page {
			users = append(users, m.User())
			after = m.Number()
		}
		if len(page) < n {
			return users
		}
	}
}

// While members come and go and others work, every member that stays is listed once, in
// the order in which it came.
func TestMembersAreListedOnceWhileOthersComeAndGo(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(hubtest.NewCounterApp())
	const staying, rooms = 3000, 700
	var want []string
	var all []*hub.Connection
	for i := range staying {
		user := "stays " + strconv.Itoa(i)
		name := "crowd"
		if i%2 == 0 {
			name = strconv.Itoa(i % rooms)
		}
		all = append(all, stay(t, w.Hub, rt, room.Visitor{Room: "crowd", User: "passes"}), stay(t, w.Hub, rt, room.Visitor{Room: name, User: user}))
		want = append(want, user)
	}
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() { // others leave, and so the places of those that stay change
		for i := 0; i < len(all); i += 2 {
			all[i].Abandon()
		}
	})
	busy.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				c, err := w.Hub.Join(context.Background(), rt, room.Visitor{Room: strconv.Itoa(i % 2000), User: "passes"})
				if err != nil {
					t.Error(err)
					return
				}
				c.Abandon()
			}
		}
	})
	for range 5 {
		got := slices.DeleteFunc(listAll(w.Hub, 100), func(user string) bool { return user == "passes" })
		if !slices.Equal(got, want) {
			t.Fatalf("%d members are listed: %.200q", len(got), got)
		}
	}
	close(stop)
	busy.Wait()
	for i := 1; i < len(all); i += 2 {
		all[i].Abandon()
	}
}

func TestFilterOfMembers(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(hubtest.NewCounterApp())
	var all []*hub.Connection
	for _, v := range []room.Visitor{
		{Room: "a", User: "alice", ClientIP: "10.0.0.1"}, {Room: "a", User: "bob", ClientIP: "2001:db8::1"}, {Room: "b", User: "alice", ClientIP: "2001:db8::2"}, {Room: "b"},
	} {
		all = append(all, stay(t, w.Hub, rt, v))
	}
	first := all[0].Number()
	for _, test := range []struct {
		filter hub.Filter
		want   []uint64 // after the first
	}{
		{hub.Filter{}, []uint64{0, 1, 2, 3}},
		{hub.Filter{Number: first + 1}, []uint64{1}},
		{hub.Filter{Room: "a"}, []uint64{0, 1}},
		{hub.Filter{Room: "a", App: "another"}, nil},
		{hub.Filter{Route: "another"}, nil},
		{hub.Filter{Route: "test", User: "alice"}, []uint64{0, 2}},
		{hub.Filter{Network: route.Network("2001:db8::ffff")}, []uint64{1, 2}},
		{hub.Filter{Network: route.Network("10.0.0.1"), User: "bob"}, nil},
	} {
		var got []uint64
		for _, m := range w.Hub.PageOfMembers(test.filter, 0, 10) {
			got = append(got, m.Number()-first)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%+v: got %v, want %v", test.filter, got, test.want)
		}
	}
	for _, c := range all {
		c.Abandon()
	}
}

// unlisted is an engine that fails when it is asked for keys or a value.
type unlisted struct {
	engines.Engine
	list, load error
}

func (e *unlisted) List(ctx context.Context, after engines.Key, n int) ([]engines.Key, error) {
	if e.list != nil {
		return nil, e.list
	}
	return e.Engine.List(ctx, after, n)
}

func (e *unlisted) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	if e.load != nil && key.Room == "damaged" {
		return nil, 0, e.load
	}
	return e.Engine.Load(ctx, key)
}

// A room that cannot be read is shown with the reason, and the others as ever.
func TestRoomsThatCannotBeRead(t *testing.T) {
	e := &unlisted{Engine: new(memory.Engine)}
	w := hubtest.New(t, e)
	rt := hubtest.Route(hubtest.NewCounterApp())
	for _, name := range []string{"a", "damaged", "z"} {
		c := w.Enter(rt, room.Visitor{Room: name})
		c.Send("op")
		c.Expect("1")
		c.Leave()
	}
	if _, err := e.Swap(context.Background(), engines.Key{App: "test", Room: "zz"}, 0, engines.Value{State: []byte("no envelope")}); err != nil {
		t.Fatal(err)
	}
	hubtest.Until(t, "the rooms to leave memory", func() bool { return w.Hub.Rooms() == 0 })
	e.load = errors.New("bad sector")
	rooms, last, err := w.Hub.PageOfRooms(context.Background(), hub.RoomFilter{}, engines.Key{}, 4)
	if err != nil || len(rooms) != 4 || last.Room != "zz" {
		t.Fatal(rooms, last, err)
	}
	if rooms[1].Err != e.load || rooms[3].Err == nil || rooms[0].Err != nil || rooms[2].Version != 1 {
		t.Errorf("%+v", rooms)
	}
	e.list = errors.New("away")
	if _, _, err := w.Hub.PageOfRooms(context.Background(), hub.RoomFilter{}, engines.Key{}, 4); err != e.list {
		t.Error(err)
	}
}
