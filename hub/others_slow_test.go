package hub_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// narrow returns a route whose rooms keep messages, and whose members have a small queue.
func narrow() *route.Route { return narrowKeeping(10000) }

// narrowKeeping is narrow for so many messages.
func narrowKeeping(messages int) *route.Route {
	rt := route.Config{App: new(broadcast.App), Settings: socket.Settings{MaxMessageSize: 4 << 10, MaxQueue: 64 << 10}}
	rt.History = route.History{Messages: messages, Replay: 10}
	return route.New("test", "test", rt)
}

// A node that has not heard of others for a while tells its members what they have missed as fast
// as they read, in order and once, and nobody is closed for it: neither one that reads nothing
// for a while nor one that speaks meanwhile.
func TestMuchThatWasMissedIsReadAtOnesOwnPace(t *testing.T) {
	for name, test := range map[string]struct{ messages, size int }{
		"more than a queue has": {120, 1000},
		"more than a MiB":       {1200, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testMissed(t, test.messages, strings.Repeat("x", test.size)) })
		})
	}
}

func testMissed(t *testing.T, messages int, text string) {
	c := newCommon()
	deaf := c.node()
	ra, rb := narrow(), narrow()
	h, end := startNode(t, c.node(), hub.Limits{}, ra)
	defer end()
	other, endOther := startNode(t, deaf, hub.Limits{}, rb)
	defer endOther()
	speaker := hubtest.Bubble{Hub: h}.Client(t, ra)
	idle, busy := hubtest.Bubble{Hub: other}.Client(t, rb), hubtest.Bubble{Hub: other}.Client(t, rb)
	say := func(text string) {
		speaker.Send(text)
		speaker.Expect(text)
	}
	say("first")
	idle.Expect("first")
	busy.Expect("first")
	c.set(func() { deaf.cut = true })
	for i := range messages {
		say(fmt.Sprint(i, text))
	}
	synctest.Wait()
	c.set(func() { deaf.cut = false })
	busy.Send("mine")
	time.Sleep(time.Minute) // nobody is held up any more
	speaker.Send("last")
	synctest.Wait()
	for _, m := range []*hubtest.Client{busy, idle} {
		for i := range messages {
			m.Expect(fmt.Sprint(i, text))
		}
		m.Expect("mine")
		m.Expect("last")
	}
	speaker.Expect("mine")
	speaker.Expect("last")
	for _, m := range []*hubtest.Client{busy, idle, speaker} {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What is not kept any more when a node hears of others again is a gap for its members, told
// once, before all that is left.
func TestMuchThatWasMissedAndIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCommon()
		deaf := c.node()
		ra, rb := narrowKeeping(100), narrowKeeping(100)
		h, end := startNode(t, c.node(), hub.Limits{}, ra)
		defer end()
		other, endOther := startNode(t, deaf, hub.Limits{}, rb)
		defer endOther()
		speaker, idle := hubtest.Bubble{Hub: h}.Client(t, ra), hubtest.Bubble{Hub: other}.Client(t, rb)
		say := func(text string) {
			speaker.Send(text)
			speaker.Expect(text)
		}
		say("first")
		idle.Expect("first")
		c.set(func() { deaf.cut = true })
		text := strings.Repeat("x", 1000)
		for i := range 400 {
			say(fmt.Sprint(i, text))
			time.Sleep(time.Second) // so that old ones are removed
		}
		c.set(func() { deaf.cut = false })
		time.Sleep(time.Minute)
		say("last")
		idle.ExpectPrefix("gap: ")
		next, err := idle.ReadText()
		if err != nil {
			t.Fatal(err)
		}
		number, err := strconv.Atoi(strings.TrimSuffix(next, text))
		if err != nil || number == 0 || number > 300 {
			t.Errorf("behind the gap comes %.20q", next)
		}
		for i := number + 1; i < 400; i++ {
			idle.Expect(fmt.Sprint(i, text))
		}
		idle.Expect("last")
		if err := errors.Join(idle.Close(), speaker.Close()); err != nil {
			t.Error(err)
		}
	})
}
