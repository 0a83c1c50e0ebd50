package echo_test

import (
	"testing"

	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/apps/echo"
)

func TestSendsBackToTheSenderOnly(t *testing.T) {
	room := appstest.NewRoom(t, new(echo.App))
	a, b := room.Join(), room.Join()
	a.Send("é")
	a.Send("")
	a.SendBinary([]byte("\xff"))
	a.Expect("é", "")
	a.ExpectBinary([]byte("\xff"))
	b.Send("own")
	b.Expect("own")
}

func TestOnceClosesAfterTheFirstReply(t *testing.T) {
	c := appstest.NewRoom(t, &echo.App{Once: true}).Join()
	c.Send("one")
	c.Send("two")
	c.Expect("one")
	c.ExpectClosed(1000)
}
