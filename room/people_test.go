package room_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

const grace = 10 * time.Second

// present is a route with the option presence, of a name.
func present(name string, app apps.App, p route.Presence) *route.Route {
	return route.New(name, "test", route.Config{
		App: app, Presence: p, Named: true, Source: name,
		Settings: socket.Settings{MaxMessageSize: 1 << 20, MaxQueue: 1 << 20},
	})
}

// party is a bubble with a room in which people are told of each other.
type party struct {
	hubtest.Bubble
	t     *testing.T
	route *route.Route
}

// atParty runs a test with a room of broadcast.
func atParty(t *testing.T, test func(t *testing.T, p *party)) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		rt := present("party", new(broadcast.App), route.Presence{On: true, Grace: grace})
		b.Begin([]*route.Route{rt})
		test(t, &party{b, t, rt})
	})
}

// enter lets a client in that speaks json.
func (p *party) enter(user string) *hubtest.Client {
	p.t.Helper()
	return p.visit(room.Visitor{Room: "room", User: user, Subprotocol: message.Subprotocol})
}

func (p *party) visit(v room.Visitor) *hubtest.Client {
	p.t.Helper()
	c, err := hubtest.Dial(p.t, p.Hub, p.route, v)
	if err != nil {
		p.t.Fatal(err)
	}
	synctest.Wait() // what it is told first is told to nobody else later
	return c
}

// now is what a GET is told of people.
func (p *party) now(rt *route.Route) string {
	p.t.Helper()
	people, err := p.Presence(p.t.Context(), rt, "room")
	if err != nil {
		p.t.Fatal(err)
	}
	return string(people)
}

// expectPeople fails the test unless a client is told this of people next.
func expectPeople(t *testing.T, c *hubtest.Client, want string) {
	t.Helper()
	c.Expect(`{"type":"presence",` + want + `}`)
}

// saysNext fails the test if a client is told anything before what it says itself.
func saysNext(t *testing.T, c *hubtest.Client, text string) {
	t.Helper()
	c.Send(`{"data":"` + text + `"}`)
	if got, err := c.ReadText(); err != nil || !strings.Contains(got, `"data":"`+text+`"`) {
		t.Fatalf("told %s, %v; before %s", got, err, text)
	}
}

// id is how somebody who is no user is named.
func id(c *hubtest.Client) string { return `{"id":"` + c.Member.ID() + `"}` }

// A user is one member, and has left when its grace is over; others are told at once.
func TestPeopleAreToldOfEachOther(t *testing.T) {
	atParty(t, func(t *testing.T, p *party) {
		ann := p.enter("ann")
		expectPeople(t, ann, `"event":"state","count":1,"members":[{"user":"ann","connections":1}]`)
		time.Sleep(time.Second)
		guest := p.enter("")
		expectPeople(t, guest, `"event":"state","count":2,"members":[{"user":"ann","connections":1},`+id(guest)+`]`)
		expectPeople(t, ann, `"event":"change","count":2,"joined":[`+id(guest)+`]`)
		time.Sleep(time.Second)
		again := p.enter("ann")
		expectPeople(t, again, `"event":"state","count":2,"members":[{"user":"ann","connections":2},`+id(guest)+`]`)
		ann.Close()
		again.Close()
		time.Sleep(grace - time.Second)
		again = p.enter("ann") // a page that is loaded again
		expectPeople(t, again, `"event":"state","count":2,"members":[{"user":"ann","connections":1},`+id(guest)+`]`)
		begun := time.Now()
		again.Close()
		expectPeople(t, guest, `"event":"change","count":1,"left":[{"user":"ann"}]`)
		if took := time.Since(begun); took != grace {
			t.Errorf("told after %v", took)
		}
		ann = p.enter("ann")
		expectPeople(t, guest, `"event":"change","count":2,"joined":[{"user":"ann","connections":1}]`)
		time.Sleep(time.Second)
		left := id(guest)
		guest.Close()
		ann.ExpectPrefix(`{"type":"presence","event":"state"`)
		expectPeople(t, ann, `"event":"change","count":1,"left":[`+left+`]`)
		ann.Close()
	})
}

// A client without a subprotocol counts, and is told nothing. One that came by a route without
// the option neither counts nor is told. Event streams have an event of that name.
func TestWhoIsToldOfPeople(t *testing.T) {
	atParty(t, func(t *testing.T, p *party) {
		text := p.visit(room.Visitor{Room: "room"})
		other := hubtest.Client{}
		if c, err := hubtest.Dial(t, p.Hub, hubtest.Route(new(broadcast.App)), room.Visitor{Room: "room", Subprotocol: message.Subprotocol}); err == nil {
			other = *c
		}
		json := p.enter("")
		expectPeople(t, json, `"event":"state","count":2,"members":[`+id(text)+`,`+id(json)+`]`)
		json.Send(`{"data":"hello"}`)
		text.Expect("hello")
		json.ExpectPrefix(`{"type":"message"`)
		other.ExpectPrefix(`{"type":"message"`)
		if got := p.now(p.route); got != `{"type":"presence","event":"state","count":2,"members":[`+id(text)+`,`+id(json)+`]}` {
			t.Error(got)
		}
		for _, c := range []*hubtest.Client{text, json, &other} {
			c.Close()
		}
	})
}

// Reloads tell nothing. One that switches the option off ends the telling, and one that
// switches it on begins it.
func TestReloadsTellNothingOfPeople(t *testing.T) {
	atParty(t, func(t *testing.T, p *party) {
		ann, guest := p.enter("ann"), p.enter("")
		for range 2 {
			ann.ExpectPrefix(`{"type":"presence"`)
		}
		guest.ExpectPrefix(`{"type":"presence"`)
		now := p.route
		reload := func(option route.Presence) {
			next := present("party", new(broadcast.App), option)
			p.Adopt([]*route.Route{now}, []*route.Route{next}, hub.Limits{})
			now = next
			time.Sleep(time.Minute)
		}
		for range 20 {
			reload(route.Presence{On: true, Grace: grace})
		}
		saysNext(t, guest, "first")
		ann.ExpectPrefix(`{"type":"message"`)
		saysNext(t, ann, "second")
		reload(route.Presence{})
		if got := p.now(now); got != `{"type":"presence","event":"state","count":0,"members":[]}` {
			t.Error(got)
		}
		reload(route.Presence{On: true, Grace: grace})
		guest.ExpectPrefix(`{"type":"message"`)
		for _, c := range []*hubtest.Client{ann, guest} { // the first one may be told before the second one is counted
			for told := ""; !strings.Contains(told, `"count":2`); {
				var err error
				if told, err = c.ReadText(); err != nil || !strings.HasPrefix(told, `{"type":"presence"`) {
					t.Fatal(told, err)
				}
			}
		}
		ann.Close()
		guest.Close()
	})
}

// watched has what is told outside noted.
func watched(p *party) func() string {
	var mu sync.Mutex
	var all []string
	p.Watch(func(n room.News) bool {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, strings.TrimSpace(fmt.Sprint(n.Route, " ", n.Room, " ", n.Name, " ", string(n.Body.JSON), " ", n.ID)))
		return true
	})
	return func() string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		told := strings.Join(all, "\n")
		all = nil
		return told
	}
}

// Outside it is told when the first connection of a member comes, and when the last is over.
// The room stays in memory until then.
func TestComingsAreToldOutside(t *testing.T) {
	atParty(t, func(t *testing.T, p *party) {
		told := watched(p)
		ann := p.enter("ann")
		again := p.enter("ann")
		guest := p.enter("")
		name := guest.Member.ID()
		want := `party room joined {"user":"ann","count":1}` + "\n" + `party room joined {"user":"","count":2} ` + name
		if got := told(); got != want {
			t.Errorf("told %s", got)
		}
		for _, c := range []*hubtest.Client{guest, again, ann} {
			c.Close()
			synctest.Wait()
		}
		if got := told(); got != `party room left {"user":"","count":1} `+name {
			t.Errorf("told %s", got)
		}
		time.Sleep(grace - time.Millisecond)
		if got := told(); got != "" || p.Rooms() != 1 {
			t.Errorf("told %s, %d rooms", got, p.Rooms())
		}
		time.Sleep(time.Millisecond)
		if got := told(); got != `party room left {"user":"ann","count":0}` || p.Rooms() != 0 {
			t.Errorf("told %s, %d rooms", got, p.Rooms())
		}
	})
}

// The end waits for nobody's grace.
func TestTheEndWaitsForNoGrace(t *testing.T) {
	atParty(t, func(t *testing.T, p *party) {
		p.enter("ann").Close()
		synctest.Wait()
		begun := time.Now()
		t.Cleanup(func() {
			if took := time.Since(begun); took > time.Second {
				t.Errorf("it took %v", took)
			}
		})
	})
}

// Whoever takes nothing is told who is there when it takes again, not all that has happened.
func TestPeopleForASlowMember(t *testing.T) {
	atParty(t, func(t *testing.T, p *party) {
		ann, slow := p.enter("ann"), p.enter("slow")
		for i := range 100 {
			guest := p.enter(fmt.Sprint("guest", i))
			go func() { // it reads what it is told
				for {
					if _, err := guest.ReadText(); err != nil {
						return
					}
				}
			}()
			ann.ExpectPrefix(`{"type":"presence","event":`)
			time.Sleep(time.Second)
		}
		var n, count int
		for count < 102 {
			n++
			text, err := slow.ReadText()
			var said struct {
				Count   int
				Members []any
			}
			if err == nil {
				err = json.Unmarshal([]byte(text), &said)
			}
			if err != nil {
				t.Fatalf("%s, %v", text, err)
			}
			if count = said.Count; count == 102 && len(said.Members) != count {
				t.Errorf("the last it is told is %s", text)
			}
		}
		if n > 3 {
			t.Errorf("it is told %d messages", n)
		}
	})
}
