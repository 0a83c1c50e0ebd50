package appstest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// Events reach those that they are for, and the world outside.
func TestEventsAreExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, hubtest.NewAlarmApp())
		press, dashboard := room.Join(appstest.JSON, appstest.Claim("press", "hall")), room.Join(appstest.JSON)
		press.ExpectJSON(`{"type":"state"}`)
		dashboard.ExpectJSON(`{"type":"state","n":0}`)
		room.Post("tell press stop").Expect("1")
		press.ExpectEvent("alert", `{"to":"press","text":"stop"}`)
		press.ExpectJSON(`{"type":"update","n":1}`)
		dashboard.ExpectJSON(`{"type":"update","n":1}`)
		room.Post("tell all fire").Expect("2")
		dashboard.ExpectEvent("alert", `{"text":"fire","version":2,"number":1}`)
		room.ExpectEvent("alert", `{"to":"press"}`)
		room.ExpectEvent("alert", `{"to":"all"}`)
		room.ExpectLogged("room event")
	})
}

// A client that comes back says what it has seen, also after a restart.
func TestComingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, hubtest.NewAlarmApp())
		c := room.Join(appstest.JSON)
		c.ExpectJSON(`{"type":"state"}`)
		c.Send("tell all one")
		c.ExpectJSON(`{"type":"reply"}`)
		c.ExpectEvent("alert", `{"text":"one"}`)
		c.Cut()
		room.Post("tell all two").Expect("2")
		room.RestartAfter(time.Hour)
		room.Post("tell all three").Expect("3")
		back := room.Join(appstest.JSON, appstest.After(c.Seen()))
		back.ExpectEvent("alert", `{"text":"two"}`)
		back.ExpectEvent("alert", `{"text":"three"}`)
		back.ExpectJSON(`{"type":"state","n":3}`)
		stranger := room.Join(appstest.JSON, appstest.After("elsewhere"))
		stranger.ExpectGap()
		stranger.ExpectEvent("alert", `{"text":"one"}`)
	})
}

// An app that acts by itself does so while somebody is there.
func TestAnAppOpensItsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &hubtest.OpenApp{AlarmApp: hubtest.NewAlarmApp(), OnOpen: func(r apps.OpenRoom) {
			go func() {
				tick := time.NewTicker(time.Minute)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
						r.Apply(nil, []byte("tell all tick"))
					case <-r.Closed():
						return
					}
				}
			}()
		}}
		room := appstest.NewRoom(t, app)
		c := room.Join()
		time.Sleep(2*time.Minute + time.Second)
		c.Expect("all tick", "1", "all tick", "2")
		c.Leave()
		time.Sleep(time.Hour)
		room.ExpectState("2")
	})
}
