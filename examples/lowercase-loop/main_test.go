package main

import (
	"testing"

	"github.com/caddyws/caddy-websocket/apps/appstest"
)

func TestLowerCase(t *testing.T) {
	room := appstest.NewRoom(t, &App{Loop: lowerCase})
	c := room.Join()
	c.Send("HELLO")
	c.Send("ÄÖÜ")
	c.Expect("hello", "äöü")
	room.Post("By POST").Expect("by post")
}
