package meter_test

import (
	"testing"

	"github.com/caddyws/caddy-websocket/apps/appstest"
)

// The order to stop reaches only the machine that it is for: the connection that sends its
// readings, and one that only listens. Whoever comes later is told what still holds.
func TestOrdersReachOnlyTheMachineConcerned(t *testing.T) {
	room := appstest.NewRoom(t, valid(t, "alert stop each last above 90 {\nto key\nmessage stop\n}\nalert warning max above 80"))
	press, other, screen := room.Join(), room.Join(), room.Join(appstest.JSON)
	listener := room.Join(appstest.JSON, appstest.Claim("press-4"))
	screen.Receive()
	listener.Receive()
	press.Send(`{"key":"press-4","value":95}`)
	press.Expect("95", "warning: max is 95, above 80", "stop")
	other.Expect("warning: max is 95, above 80", "count 1 sum 95 min 95 max 95 mean 95 last 95")
	screen.ExpectEvent("alert", `{"alert":"warning","raised":true,"fold":"max","value":95,"threshold":80,"key":"press-4"}`)
	screen.ExpectJSON(`{"type":"update","alerts":["stop","warning"]}`)
	listener.ExpectEvent("alert", `{"alert":"warning","raised":true}`)
	listener.ExpectEvent("alert", `{"alert":"stop","raised":true,"fold":"last","value":95,"threshold":90,"key":"press-4","message":"stop"}`)
	listener.ExpectJSON(`{"type":"update"}`)
	late := room.Join(appstest.JSON, appstest.Claim("press-4"))
	late.ExpectEvent("alert", `{"alert":"stop","raised":true,"key":"press-4"}`)
	late.ExpectJSON(`{"type":"state","alerts":["stop","warning"]}`)
	again := room.Join()
	again.Send(`{"key":"press-4","value":96}`)
	again.Expect("96", "stop")
	press.Expect("count 2 sum 191 min 95 max 96 mean 95.5 last 96")
	room.Post(`{"key":"press-4","value":5}`).Expect("5")
	again.Expect("stop is over for press-4", "count 3 sum 196 min 5 max 96 mean 65.3333333333 last 5")
	press.Expect("stop is over for press-4", "count 3 sum 196 min 5 max 96 mean 65.3333333333 last 5")
	other.Expect("count 2 sum 191 min 95 max 96 mean 95.5 last 96", "count 3 sum 196 min 5 max 96 mean 65.3333333333 last 5")
}
