package echo_test

import (
	"testing"

	"github.com/caddyws/caddy-websocket/apps/echo"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

func TestSendsBackToTheSenderOnly(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(new(echo.App))
	a, b := w.Join(route), w.Join(route)
	a.Send("é", "")
	a.SendBinary("\xff")
	a.Expect("é", "")
	if op, p, err := a.ReadFrame(); err != nil || op != frames.Binary || string(p) != "\xff" {
		t.Errorf("read %v %q, %v", op, p, err)
	}
	b.Send("own")
	b.Expect("own")
}

func TestOnceClosesAfterTheFirstReply(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	c := w.Join(hubtest.Route(&echo.App{Once: true}))
	c.Send("one", "two")
	c.Expect("one")
	c.ExpectClose(frames.NormalClosure)
}
