package nats

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	said "github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// Two nodes over a cluster count into one total, and members of each hear of it.
func TestTwoHubsShareARoom(t *testing.T) {
	c := startCluster(t)
	bucket := newBucket()
	a := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[0].url()}, Bucket: bucket}))
	b := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[1].url()}, Bucket: bucket}))
	ra, rb := hubtest.Route(hubtest.NewCounterApp()), hubtest.Route(hubtest.NewCounterApp())
	here, there := a.Join(ra), b.Join(rb)
	for i := range 20 {
		sender, other := here, there
		if i%2 == 1 {
			sender, other = there, here
		}
		sender.Send("1")
		sender.Expect(fmt.Sprint(i + 1))
		other.Expect(fmt.Sprint(i + 1))
	}
}

// Members of two nodes over a cluster are told what anybody says, in the order of each.
func TestTwoHubsShareMessages(t *testing.T) {
	const messages = 500
	c := startCluster(t)
	bucket := newBucket()
	a := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[0].url()}, Bucket: bucket}))
	b := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[1].url()}, Bucket: bucket}))
	here, there := a.Join(hubtest.Route(new(broadcast.App))), b.Join(hubtest.Route(new(broadcast.App)))
	greet(t, here, there)
	greet(t, there, here)
	go func() {
		for i := range messages {
			here.Send(fmt.Sprint(i))
		}
	}()
	for i := range messages {
		there.Expect(fmt.Sprint(i))
		here.Expect(fmt.Sprint(i))
	}
	there.Send("back")
	here.Expect("back")
}

// greet has one client say something until another hears it: servers of a cluster take a
// moment until they know who listens. What comes later than it is heard by both.
func greet(t *testing.T, from, to *hubtest.Client) {
	t.Helper()
	heard := make(chan error, 2)
	go func() {
		for told := false; ; {
			text, err := to.ReadText()
			if err != nil || text == "hello, last" {
				heard <- err
				return
			}
			if !told {
				told = true
				heard <- nil
			}
		}
	}()
	for {
		from.Send("hello")
		from.Expect("hello")
		select {
		case err := <-heard:
			if err != nil {
				t.Fatal(err)
			}
			from.Send("hello, last")
			from.Expect("hello, last")
			if err := receive(t, "the last greeting", heard); err != nil {
				t.Fatal(err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// history is a route whose room keeps messages.
func history(messages int) *route.Route {
	return route.New("test", "test", route.Config{
		App:      new(broadcast.App),
		Settings: socket.Settings{MaxMessageSize: 64 << 10, MaxQueue: 16 << 20},
		History:  route.History{Messages: messages, Replay: messages},
	})
}

// told is a message of the subprotocol json.
type told struct {
	Type    string
	Epoch   string
	Version uint64
	Oldest  uint64
	Data    string
	ID      string
	Repeat  bool
	Code    string
}

func readTold(t *testing.T, c *hubtest.Client) told {
	t.Helper()
	m, err := read(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func read(c *hubtest.Client) (m told, err error) {
	text, err := c.ReadText()
	if err == nil {
		err = json.Unmarshal([]byte(text), &m)
	}
	return m, err
}

// readMessage reads the next message that was published, past answers to the client's own.
func readMessage(t *testing.T, c *hubtest.Client) told {
	t.Helper()
	all, err := readMessages(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func readMessages(c *hubtest.Client, n int) (all []told, err error) {
	for len(all) < n {
		m, err := read(c)
		switch {
		case err != nil:
			return all, fmt.Errorf("behind %d messages, the last of them %+v: %w", len(all), all[max(len(all)-1, 0):], err)
		case m.Type == "message":
			all = append(all, m)
		case m.Type != "reply":
			return all, fmt.Errorf("told %+v", m)
		}
	}
	return all, nil
}

// resume joins as a client does that has seen the room up to a point.
func resume(t *testing.T, w *hubtest.World, rt *route.Route, epoch string, version uint64) *hubtest.Client {
	t.Helper()
	at, err := room.ParseSeen(fmt.Sprintf("%s-%d", epoch, version))
	if err != nil {
		t.Fatal(err)
	}
	c := w.Enter(rt, room.Visitor{Room: "room", Subprotocol: said.Subprotocol, Seen: at})
	if state := readTold(t, c); state.Type != "state" || state.Epoch != epoch || state.Version != version {
		t.Fatalf("told %+v behind %s-%d", state, epoch, version)
	}
	return c
}

// Members of two nodes publish at the same time in a room with history: all of them are told
// all messages, once, in one order, and so is a client that comes back on the other node.
func TestTwoHubsShareAHistory(t *testing.T) {
	const each = 200
	c := startCluster(t)
	bucket := newBucket()
	a := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[0].url()}, Bucket: bucket}))
	b := hubtest.New(t, openEngine(t, &Opener{URLs: []string{c[1].url()}, Bucket: bucket}))
	ra, rb := history(10_000), history(10_000)
	first := a.JoinJSON(ra)
	if state := readTold(t, first); state.Type != "state" {
		t.Fatalf("told %+v", state)
	}
	first.Send(`{"data":"begin"}`) // from here on all nodes have one epoch
	begin := readMessage(t, first)
	epoch := begin.Epoch
	second := b.JoinJSON(rb)
	if state := readTold(t, second); state.Type != "state" || state.Epoch != epoch {
		t.Fatalf("told %+v", state)
	}
	if m := readMessage(t, second); m.Data != "begin" || m.Version != begin.Version {
		t.Fatalf("told %+v", m)
	}
	heard := make([][]told, 2)
	var work sync.WaitGroup
	for i, member := range []*hubtest.Client{first, second} {
		work.Go(func() {
			for n := range each {
				member.Send(fmt.Sprintf(`{"data":"%d.%d"}`, i, n))
			}
		})
		work.Go(func() {
			var err error
			if heard[i], err = readMessages(member, 2*each); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if t.Failed() {
		return
	}
	next := [2]int{}
	for i, m := range heard[0] {
		if other := heard[1][i]; m != other || m.Version != begin.Version+uint64(i)+1 || m.Epoch != epoch {
			t.Fatalf("message %d is %+v on one node and %+v on the other", i, m, other)
		}
		var from, n int
		if _, err := fmt.Sscanf(m.Data, "%d.%d", &from, &n); err != nil || next[from] != n {
			t.Fatalf("%q, want number %d of %d", m.Data, next[from], from)
		}
		next[from]++
	}
	first.Leave()
	back := resume(t, b, rb, epoch, heard[0][99].Version)
	for _, want := range heard[0][100:] {
		if m := readMessage(t, back); m != want {
			t.Fatalf("told %+v, want %+v", m, want)
		}
	}
	second.Send(`{"data":"live"}`)
	if m := readMessage(t, back); m.Data != "live" {
		t.Errorf("told %+v", m)
	}
}

// Servers that lose the newest messages of a room, and nothing of its value, have it begin anew
// on all nodes, with what is left.
func TestTwoHubsWhoseLogLosesItsEnd(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	bucket := newBucket()
	engine := openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket})
	a, b := hubtest.New(t, engine), hubtest.New(t, openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket}))
	ra, rb := history(100), history(100)
	conn, js := connect(t, url)
	first := a.JoinJSON(ra)
	readTold(t, first)
	first.Send(`{"data":"1"}`)
	begin := readMessage(t, first)
	second := b.JoinJSON(rb)
	readTold(t, second)
	readMessage(t, second)
	backup := snapshot(t, conn, engine.logs.name)
	for i := range 3 {
		first.Send(fmt.Sprintf(`{"data":"%d"}`, i+2))
		readMessage(t, first)
		readMessage(t, second)
	}
	if err := js.DeleteStream(bounded(t), engine.logs.name); err != nil {
		t.Fatal(err)
	}
	backup.restore(t, conn, engine.logs.name)
	second.Send(`{"data":"new"}`)
	epoch := ""
	for _, member := range []*hubtest.Client{second, first} {
		if gap := readTold(t, member); gap.Type != "gap" || gap.Oldest != 1 {
			t.Fatalf("told %+v", gap)
		}
		for i, data := range []string{"1", "new"} {
			m := readMessage(t, member)
			if epoch == "" && m.Epoch != begin.Epoch {
				epoch = m.Epoch
			}
			if m.Data != data || m.Version != uint64(i+1) || m.Epoch != epoch {
				t.Fatalf("told %+v", m)
			}
		}
	}
	first.Send(`{"data":"more"}`)
	for _, member := range []*hubtest.Client{first, second} {
		if m := readMessage(t, member); m.Data != "more" || m.Version != 3 {
			t.Errorf("told %+v", m)
		}
	}
}

// A message that is sent again with its id over another node, as after the death of the first,
// is not published twice: it is told its first place.
func TestAMessageIsRepeatedOverAnotherHub(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	bucket := newBucket()
	a := hubtest.New(t, openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket}))
	b := hubtest.New(t, openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket}))
	rb := history(100)
	sender := a.JoinJSON(history(100))
	readTold(t, sender)
	var begin told
	for i, id := range []string{"client:1", "client:2", "client:3"} {
		sender.Send(fmt.Sprintf(`{"data":"%d","id":%q}`, i, id))
		begin = readMessage(t, sender)
	}
	sender.Cut()
	if err := a.CloseHub(); err != nil {
		t.Error(err)
	}
	again := resume(t, b, rb, begin.Epoch, begin.Version)
	for i, id := range []string{"client:2", "client:3"} {
		again.Send(fmt.Sprintf(`{"data":"%d","id":%q}`, i+1, id))
		if m := readTold(t, again); m.Type != "reply" || !m.Repeat || m.Version != uint64(i+2) {
			t.Errorf("told %+v", m)
		}
	}
	again.Send(`{"data":"new","id":"client:4"}`)
	if m := readMessage(t, again); m.Data != "new" || m.Version != 4 {
		t.Errorf("told %+v", m)
	}
}
