package room_test

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
)

// workingApp does what a test wants with each message.
type workingApp struct {
	work func(c apps.Conn, w apps.Worker, text string)
}

func (*workingApp) Inline() {}

func (a *workingApp) Receive(c apps.Conn, m apps.Message) error {
	a.work(c, c.(apps.Worker), string(m.Data))
	return nil
}

// Each connection has a value of its own, and knows who it is of.
func TestWhatAnAppSeesOfAConnection(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(&workingApp{func(c apps.Conn, _ apps.Worker, text string) {
		before, _ := c.Value().(string)
		c.SetValue(before + text)
		c.Send(apps.Text(before + " " + c.User() + " " + c.Subprotocol() + " " + c.ClientIP()))
	}})
	known := w.Enter(rt, room.Visitor{Room: "room", User: "alice", Subprotocol: "chat", ClientIP: "192.0.2.1"})
	unknown := w.Enter(rt, room.Visitor{Room: "room", ClientIP: "192.0.2.2"})
	known.Send("a", "b", "c")
	known.Expect(" alice chat 192.0.2.1", "a alice chat 192.0.2.1", "ab alice chat 192.0.2.1")
	unknown.Send("d", "e")
	unknown.Expect("   192.0.2.2", "d   192.0.2.2")
	if known.Member.App().ID() == unknown.Member.App().ID() {
		t.Error("two connections have one ID")
	}
}

// The context of a connection ends with it, and already when its client says no more;
// whether it is asked for before that or after it.
func TestTheContextOfAConnection(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	held := make(chan func(), 1)
	rt := hubtest.Route(&workingApp{func(_ apps.Conn, w apps.Worker, _ string) { held <- w.Hold(1) }})
	ends := map[string]func(*hubtest.Client){
		"leaves": (*hubtest.Client).Leave,
		"says no more": func(c *hubtest.Client) {
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Error(err)
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			c := w.Join(rt)
			if name != "leaves" {
				c.Send("hold") // so that the connection waits for an answer
			}
			worker := c.Member.App().(apps.Worker)
			ctx := worker.Context()
			if ctx.Err() != nil || worker.Context() != ctx {
				t.Error("it has ended, or there are two")
			}
			end(c)
			hubtest.Until(t, "the context to end", func() bool { return ctx.Err() != nil })
			if name != "leaves" {
				c.Member.App().Send(apps.Text("late"))
				(<-held)()
				c.Expect("late")
			}
		})
		t.Run(name+" before", func(t *testing.T) {
			c := w.Join(rt)
			end(c)
			hubtest.Until(t, "the member to be out", func() bool { return c.Member.Room().Len() == 0 })
			if c.Member.App().(apps.Worker).Context().Err() == nil {
				t.Error("the context of a connection that is gone goes on")
			}
		})
	}
}

// A message that an app holds is settled once it is released, which counts once.
func TestAMessageThatIsHeld(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		var releases []func()
		rt := hubtest.Route(&workingApp{func(_ apps.Conn, w apps.Worker, text string) {
			releases = append(releases, w.Hold(len(text)), w.Hold(len(text)))
		}})
		answered := false
		go func() {
			hubtest.Post(t, b.Hub, rt, "room", "hold", "")
			answered = true
		}()
		expect := func(want bool) {
			t.Helper()
			if synctest.Wait(); answered != want {
				t.Errorf("answered: %v, want %v", answered, want)
			}
		}
		expect(false)
		releases[0]()
		releases[0]()
		expect(false)
		releases[1]()
		expect(true)
	})
}

// What an app has begun for a connection keeps the room in memory, and acts for it.
func TestWorkForAConnection(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		pass := make(chan struct{})
		rt := hubtest.Route(&workingApp{func(c apps.Conn, w apps.Worker, text string) {
			c.Send(apps.Text(text))
			switch text {
			case "wait":
				w.Go(func() { <-pass })
			case "panic":
				w.Go(func() { panic(text) })
			case "refuse":
				w.Fail(apps.Refuse(errors.New("no")))
			case "nothing":
				w.Fail(nil)
			case "close":
				w.Fail(&apps.CloseError{Code: 4001})
			}
		}})
		c, closed := b.Client(t, rt), b.Client(t, rt)
		c.Send("refuse")
		c.Expect("refuse", "error: no")
		c.Send("nothing")
		c.Expect("nothing")
		closed.Send("close")
		closed.Expect("close")
		closed.ExpectClose(4001)
		c.Send("wait")
		c.Expect("wait")
		c.Close()
		synctest.Wait()
		if n := b.Rooms(); n != 1 {
			t.Errorf("%d rooms while the app works", n)
		}
		close(pass)
		synctest.Wait()
		if n := b.Rooms(); n != 0 {
			t.Errorf("%d rooms afterwards", n)
		}
		c = b.Client(t, rt)
		c.Send("panic")
		c.Expect("panic")
		c.ExpectClose(frames.InternalError)
	})
}

// A room keeps its clients apart from those of another.
func TestAnOperationForAConnectionOfAnotherRoom(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	rt := hubtest.Route(hubtest.NewCounterApp())
	a, b := w.Join(rt), w.Enter(rt, room.Visitor{Room: "other"})
	defer func() {
		if recover() == nil {
			t.Error("an operation for a connection of another room was taken")
		}
	}()
	a.Member.App().Room().Apply(b.Member.App(), []byte("op"))
}
