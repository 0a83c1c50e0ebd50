// Package appstest drives an app without a network: clients join, send and
// expect.
//
//	func TestTotalIsPushed(t *testing.T) {
//		room := appstest.NewRoom(t, new(sum.App))
//		ann, bob := room.Join(), room.Join(appstest.JSON)
//		ann.Send("6")
//		ann.Expect("6")
//		bob.ExpectJSON(`{"type":"state","total":0}`)
//		bob.ExpectJSON(`{"type":"update","total":6}`)
//		room.Post("1").Expect("7")
//	}
//
// What lies between the app and its clients is the real thing: the hub, the
// engine that keeps state in memory, and the WebSocket protocol over a pipe. So
// the order of messages, what a panic does and what is committed when are those
// of production.
//
// **A test never hangs**: what does not come within a minute ends it, with
// what came before. Everything works under testing/synctest too, where that
// minute costs nothing. There a state that is to be woken (apps.Waker) is, when
// the test has slept long enough:
//
//	synctest.Test(t, func(t *testing.T) {
//		room := appstest.NewRoom(t, new(poll.App))
//		room.Post("yes").Expect("1 yes, 0 no")
//		time.Sleep(time.Hour)
//		room.ExpectState("1 yes, 0 no, closed")
//	})
//
// Events are expected by their names and fields, by those they are for, and by the room
// itself as Caddy's event handlers are told them:
//
//	press := room.Join(appstest.JSON, appstest.Claim("press-4"))
//	room.Post("press-4 950")
//	press.ExpectEvent("alert", `{"alert":"stop","value":950}`)
//	room.ExpectEvent("alert", `{"alert":"stop","key":"press-4"}`)
//	press.Cut()
//	room.Post("press-4 5")
//	back := room.Join(appstest.JSON, appstest.Claim("press-4"), appstest.After(press.Seen()))
//	back.ExpectEvent("alert", `{"alert":"stop","raised":false}`)
//
// An app that acts in its rooms by itself (apps.Opener) does so here too, from the first
// visitor on until the last one has left.
//
// The methods of Room and Client that expect or wait are for the goroutine of the
// test.
package appstest
