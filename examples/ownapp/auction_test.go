package auction

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps/appstest"
)

func TestHighestBidWins(t *testing.T) {
	room := appstest.NewRoom(t, new(App))
	ann := room.Join(appstest.User("ann"))
	bob := room.Join(appstest.User("bob"), appstest.JSON)
	ann.Expect("0 by nobody")
	bob.ExpectJSON(`{"type":"state","euros":0}`)

	ann.Send("100")
	ann.Expect("100 by ann")
	bob.ExpectJSON(`{"type":"update","euros":100,"bidder":"ann"}`)

	bob.Send("100")
	bob.ExpectJSON(`{"type":"error","error":"too low, 100 is bid already"}`)
	bob.Send("101")
	bob.ExpectJSON(`{"type":"reply","euros":101,"bidder":"bob"}`)
	ann.Expect("101 by bob") // and nothing of the refused bid before it

	ann.Send("a lot")
	ann.Expect("error: a bid is a number of euros, such as 100")
	room.Post("50").ExpectRefused("too low, 101 is bid already")
	room.Post("150", appstest.User("cleo")).Expect("150 by cleo")
}

func TestAuctionGoesOnAfterARestart(t *testing.T) {
	room := appstest.NewRoom(t, new(App))
	room.Post("100", appstest.User("ann")).Expect("100 by ann")
	room.Restart()
	room.ExpectState("100 by ann")
	room.Post("99").ExpectRefused("too low, 100 is bid already")
}

// Time passes at once here: see testing/synctest.
func TestAuctionEndsAWhileAfterTheLastBid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, new(App))
		ann := room.Join(appstest.User("ann"))
		ann.Expect("0 by nobody")
		ann.Send("100")
		ann.Expect("100 by ann")
		time.Sleep(patience - time.Second)
		room.Post("101", appstest.User("bob")).Expect("101 by bob")
		ann.Expect("101 by bob")
		time.Sleep(patience - time.Second)
		ann.ExpectNothing()
		time.Sleep(time.Second)
		ann.Expect("101 by bob, sold")
		ann.Send("200")
		ann.Expect("error: too late, it is sold")
	})
}

func TestAuctionEndsWithNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, new(App))
		room.Post("100", appstest.User("ann")).Expect("100 by ann")
		time.Sleep(patience)
		room.ExpectState("100 by ann, sold")
	})
}

func TestAuctionEndsOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := appstest.NewRoom(t, new(App))
		room.Post("100", appstest.User("ann")).Expect("100 by ann")
		room.RestartAfter(time.Hour)
		room.Post("200").ExpectRefused("too late, it is sold")
	})
}
