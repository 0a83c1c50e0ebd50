package hub_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Rooms are listed in the order of their names, page by page, whether they are stored, in
// memory, or both.
func TestPagesOfRooms(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt, other := hubtest.Route(hubtest.NewCounterApp()), route.New("other", "other", route.Config{App: hubtest.NewCounterApp()})
	if rooms, _, err := w.PageOfRooms(t.Context(), hub.RoomFilter{}, engines.Key{}, 10); err != nil || len(rooms) != 0 {
		t.Errorf("before the engine is open there are %v, %v", rooms, err)
	}
	for _, name := range []string{"b", "abc", "a", "ab"} {
		hubtest.Post(t, w.Hub, rt, name, "op", "1")
	}
	hubtest.Post(t, w.Hub, other, "ac", "op", "1")
	for _, name := range []string{"aa", "ab", "`"} {
		defer stay(t, w.Hub, rt, room.Visitor{Room: name}).Abandon()
	}
	for _, test := range []struct {
		filter hub.RoomFilter
		want   []string
	}{
		{hub.RoomFilter{}, []string{"ac", "`", "a", "aa", "ab", "abc", "b"}},
		{hub.RoomFilter{App: "test"}, []string{"`", "a", "aa", "ab", "abc", "b"}},
		{hub.RoomFilter{App: "other"}, []string{"ac"}},
		{hub.RoomFilter{App: "test", Prefix: "a"}, []string{"a", "aa", "ab", "abc"}},
		{hub.RoomFilter{App: "test", Prefix: "ab"}, []string{"ab", "abc"}},
		{hub.RoomFilter{App: "test", Prefix: "c"}, nil},
		{hub.RoomFilter{App: "none"}, nil},
	} {
		for _, n := range []int{1, 2, 100} {
			var got []string
			for last := (engines.Key{}); ; {
				rooms, next, err := w.PageOfRooms(t.Context(), test.filter, last, n)
				if err != nil || len(rooms) > n {
					t.Fatalf("%d rooms, %v", len(rooms), err)
				}
				for _, v := range rooms {
					got = append(got, v.Room)
				}
				if last = next; last == (engines.Key{}) {
					break
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%+v by %d: %q, want %q", test.filter, n, got, test.want)
			}
		}
	}
}

// A room is shown as it is in memory and stored. What cannot be read is shown with its
// error, unless nobody waits for it any more.
func TestARoomIsShown(t *testing.T) {
	e := &unreadable{Engine: new(memory.Engine)}
	w := hubtest.New(t, e)
	rt := hubtest.Route(hubtest.NewCounterApp())
	show := func(want error) hub.RoomView {
		t.Helper()
		v, err := w.Room(t.Context(), theRoom)
		if !errors.Is(err, want) || v.Key != theRoom {
			t.Errorf("%+v, %v; want %v", v, err, want)
		}
		return v
	}
	show(hub.ErrNoRoom) // the engine is not open
	looker := stay(t, w.Hub, rt, room.Visitor{Room: "other"})
	show(hub.ErrNoRoom)
	looker.Abandon()
	c := w.Join(rt)
	if v := show(nil); v.Members != 1 || v.IsStored || v.Version != 0 {
		t.Errorf("%+v", v)
	}
	c.Send("op")
	c.Expect("1")
	if v := show(nil); v.Members != 1 || !v.IsStored || v.Version != 1 || v.Size == 0 || v.Used.IsZero() || v.Route != "test" {
		t.Errorf("%+v", v)
	}
	c.Leave()
	if v := show(nil); v.Members != 0 || !v.IsStored || v.Version != 1 || v.Err != nil {
		t.Errorf("%+v", v)
	}
	e.fails.Store(true)
	if v := show(nil); v.Err == nil {
		t.Errorf("%+v", v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Room(ctx, theRoom); err == nil {
		t.Error("no error")
	}
	if _, _, err := w.PageOfRooms(ctx, hub.RoomFilter{}, engines.Key{}, 10); err == nil {
		t.Error("no error")
	}
}
