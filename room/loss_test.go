package room_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// forgetful is an engine whose log of a room may lose its newest messages, and nothing else.
type forgetful struct {
	memory.Engine
	left atomic.Pointer[memory.Engine] // has the logs since; nil: they have lost nothing
}

func (e *forgetful) logs() *memory.Engine {
	if left := e.left.Load(); left != nil {
		return left
	}
	return &e.Engine
}

// lose leaves the first messages.
func (e *forgetful) lose(t *testing.T, key engines.Key, epoch string, n int) {
	t.Helper()
	entries, _, _, err := e.Read(t.Context(), key, epoch, 0, n)
	if err != nil {
		t.Fatal(err)
	}
	left := new(memory.Engine)
	if _, err := left.Swap(t.Context(), key, 0, engines.Value{Epoch: epoch}); err != nil {
		t.Fatal(err)
	}
	if _, err := left.Append(t.Context(), key, epoch, 0, entries); err != nil {
		t.Fatal(err)
	}
	e.left.Store(left)
}

func (e *forgetful) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	now, err := e.Engine.Swap(ctx, key, rev, v)
	if left := e.left.Load(); err == nil && left != nil && rev == 0 {
		_, err = left.Swap(ctx, key, 0, v)
	}
	return now, err
}

func (e *forgetful) Delete(ctx context.Context, key engines.Key, rev uint64) error {
	err := e.Engine.Delete(ctx, key, rev)
	if left := e.left.Load(); err == nil && left != nil {
		_, rev, _ := left.Load(ctx, key)
		err = left.Delete(ctx, key, rev)
	}
	return err
}

func (e *forgetful) Append(ctx context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (uint64, error) {
	return e.logs().Append(ctx, key, epoch, after, entries)
}

func (e *forgetful) Read(ctx context.Context, key engines.Key, epoch string, after uint64, n int) ([][]byte, uint64, uint64, error) {
	return e.logs().Read(ctx, key, epoch, after, n)
}

func (e *forgetful) Trim(ctx context.Context, key engines.Key, epoch string, upTo uint64) error {
	return e.logs().Trim(ctx, key, epoch, upTo)
}

// A room whose log has lost messages goes on in a new life with those that are left, whoever
// finds it out: members, and clients that come back, are told of a gap.
func TestARoomWhoseLogHasLostMessages(t *testing.T) {
	for name, find := range map[string]func(t *testing.T, w *hubtest.World, rt *route.Route, epoch string){
		"a GET": func(t *testing.T, w *hubtest.World, rt *route.Route, epoch string) {
			h, err := w.Hub.History(t.Context(), rt, "room", room.Seen{}, 10)
			if text := string(h.Text()); err != nil || text != "m1\n" || h.Epoch == epoch {
				t.Errorf("%q of %s, %v", text, h.Epoch, err)
			}
		},
		"a client that comes": func(t *testing.T, w *hubtest.World, rt *route.Route, epoch string) {
			late := w.Enter(rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, epoch+"-0")})
			hears(t, late, "gap before 1", "state 0", "1 m1")
			late.Leave()
		},
		"a message": func(t *testing.T, w *hubtest.World, rt *route.Route, _ string) {
			late := w.JoinJSON(rt)
			late.Send(say("x"))
			for m, err := readTold(late); m.Data != "x"; m, err = readTold(late) {
				if err != nil {
					t.Fatal(err)
				}
			}
			late.Leave()
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := new(forgetful)
			w := hubtest.New(t, e)
			rt := chatRoute(route.History{Messages: 100, Replay: 5}, new(broadcast.App))
			m := w.JoinJSON(rt)
			epoch := hears(t, m, "state 0").Epoch
			for i := 1; i <= 70; i++ { // more than what is recent
				m.Send(say(fmt.Sprint("m", i)))
				hears(t, m, fmt.Sprintf("%d m%d", i, i))
			}
			e.lose(t, engines.Key{App: rt.AppName, Room: "room"}, epoch, 1)
			find(t, w, rt, epoch)
			hears(t, m, "gap before 1", "1 m1")
			if name == "a message" {
				hears(t, m, "2 x")
			}
			m.Send(say("m4"))
			for last, err := readTold(m); last.Data != "m4"; last, err = readTold(m) {
				if err != nil || last.Epoch == epoch {
					t.Fatal(last, err)
				}
			}
			back := w.Enter(rt, room.Visitor{Room: "room", Subprotocol: message.Subprotocol, Seen: seen(t, epoch+"-70")})
			hears(t, back, "gap before 1", "state 0", "1 m1")
		})
	}
}
