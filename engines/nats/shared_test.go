package nats

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/caddyws/caddy-websocket/engines"
)

// behind returns an engine whose connection a test can spoil, and another that has none of it.
func behind(t *testing.T) (near, far *Engine, p *proxy) {
	t.Helper()
	s := startServer(t, serverOptions(t))
	p = newProxy(t, s.Addr().String())
	bucket := newBucket()
	near = openEngine(t, &Opener{URLs: []string{s.ClientURL()}, Bucket: bucket})
	far = openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: bucket})
	return near, far, p
}

// subscribe returns what is told of a room.
func subscribe(t *testing.T, e *Engine, key engines.Key) <-chan engines.Event {
	t.Helper()
	return subscribeIf(t, e, key, func(event engines.Event) bool { return !event.Cut })
}

// subscribeIf returns what is told of a room, as far as it is wanted.
func subscribeIf(t *testing.T, e *Engine, key engines.Key, wanted func(engines.Event) bool) <-chan engines.Event {
	t.Helper()
	events := make(chan engines.Event, 1000)
	ctx, end := context.WithTimeout(t.Context(), patience)
	defer end()
	for {
		cancel, err := e.Subscribe(ctx, key, func(event engines.Event) {
			if wanted(event) {
				events <- event
			}
		})
		switch late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errAway); {
		case err == nil:
			t.Cleanup(cancel)
			return events
		case !late || ctx.Err() != nil:
			t.Error(err) // also in a goroutine of a test
			return events
		}
	}
}

// All that hear of rooms are told when the connection ends, and when there is another one.
func TestALostConnectionIsTold(t *testing.T) {
	_, far, p := behind(t)
	var all []<-chan engines.Event
	for n := range 2 {
		all = append(all, subscribeIf(t, far, key(n), func(event engines.Event) bool { return event.Cut }))
	}
	for _, change := range []func(){
		func() {
			p.set(func() { p.shut = true })
			p.cut()
		},
		func() { p.set(func() { p.shut = false }) },
	} {
		change()
		for _, told := range all {
			receive(t, "the loss", told)
		}
	}
}

func subscribedTo(e *Engine) int {
	e.hearing.mu.Lock()
	defer e.hearing.mu.Unlock()
	return len(e.hearing.rooms)
}

func expectRev(t *testing.T, events <-chan engines.Event, rev uint64) {
	t.Helper()
	for end := time.After(patience); ; {
		select {
		case event := <-events:
			if event.Rev >= rev {
				return
			}
		case <-end:
			t.Fatalf("revision %d is not told", rev)
		}
	}
}

// What others have done while there was no connection is told after it, deletions too. A room
// in which nothing was done is not told of.
func TestChangesThatWereMissedAreTold(t *testing.T) {
	near, far, p := behind(t)
	quiet := swap(t, near, key(9), 0, value("x"))
	changed, deleted, still := subscribe(t, far, key(1)), subscribe(t, far, key(2)), subscribe(t, far, key(9))
	one, two := swap(t, near, key(1), 0, value("x")), swap(t, near, key(2), 0, value("x"))
	expectRev(t, changed, one)
	expectRev(t, deleted, two)
	p.set(func() { p.shut = true })
	p.cut()
	eventually(t, "the connection is lost", func() bool { return !far.link.conn().IsConnected() })
	one = swap(t, near, key(1), one, value("y"))
	if err := near.Delete(bounded(t), key(2), two); err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.shut = false })
	expectRev(t, changed, one)
	expectRev(t, deleted, two+1)
	if event := receive(t, "a change", still); event.Rev != quiet {
		t.Errorf("told %+v, want revision %d", event, quiet)
	}
	select {
	case event := <-still:
		t.Errorf("told %+v of a room that has not changed", event)
	default:
	}
}

// Of rooms that others have heard of nothing is looked up again. However many others there are,
// they take no place of what arrives, and only what has changed is told.
func TestWhatWasMissedLeavesTheInboxFree(t *testing.T) {
	const rooms = 100
	h := newHearing()
	h.inbox = make(chan *nats.Msg, 1)
	l := &link{}
	l.over, l.end = context.WithCancel(t.Context())
	e := &Engine{prefix: "p", node: "n", link: l, hearing: h}
	told := make(chan uint64, 2*rooms)
	hear := func(event engines.Event) { told <- event.Rev }
	for i := range rooms {
		h.rooms[key(i)] = &listeners{hear: map[*func(engines.Event)]struct{}{&hear: {}}, told: uint64(rooms + i%2)}
		e.index.put(key(i), rooms+1, times{})
	}
	e.index.advance(rooms + 1)
	h.rooms[key(rooms)] = &listeners{hear: h.rooms[key(0)].hear, told: 7} // was deleted
	h.rooms[key(rooms+1)] = &listeners{hear: h.rooms[key(0)].hear}        // has never been
	done := make(chan struct{})
	go func() {
		defer close(done)
		for key, rev := range h.untold(&e.index) {
			e.announceChange(key, rev)
			if len(h.inbox) != 0 {
				t.Error("it is in the inbox")
			}
		}
		l.end()
	}()
	e.dispatch()
	receive(t, "the end", done)
	if len(told) != rooms/2+1 {
		t.Errorf("%d changes were told, want %d", len(told), rooms/2+1)
	}
	if again := h.untold(&e.index); len(again) != 0 {
		t.Errorf("%d would be told again", len(again))
	}
}

// A subscription that is made while there is no connection waits for one.
func TestSubscribingWhileTheServerIsAway(t *testing.T) {
	near, far, p := behind(t)
	p.set(func() { p.shut = true })
	p.cut()
	eventually(t, "the connection is lost", func() bool { return !far.link.conn().IsConnected() })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := far.Subscribe(ctx, key(1), func(engines.Event) {}); err == nil {
		t.Error("it is subscribed")
	}
	if err := far.Publish(ctx, key(1), []byte("x")); err == nil {
		t.Error("it is published")
	}
	if n := subscribedTo(far); n != 0 {
		t.Errorf("%d rooms are heard of", n)
	}
	subscribed := make(chan (<-chan engines.Event))
	go func() { subscribed <- subscribe(t, far, key(1)) }()
	p.set(func() { p.shut = false })
	events := receive(t, "the subscription", subscribed)
	expectRev(t, events, swap(t, near, key(1), 0, value("x")))
}

// What is published through another server of a cluster arrives, too.
func TestEventsCrossACluster(t *testing.T) {
	c := startCluster(t)
	bucket := newBucket()
	a := openEngine(t, &Opener{URLs: []string{c[0].url()}, Bucket: bucket})
	b := openEngine(t, &Opener{URLs: []string{c[1].url()}, Bucket: bucket})
	events := subscribe(t, b, key(1))
	var rev uint64
	for i := range 5 {
		rev = swap(t, a, key(1), rev, value(string(rune('a'+i))))
	}
	expectRev(t, events, rev)
	eventually(t, "a message arrives", func() bool {
		if err := a.Publish(bounded(t), key(1), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		select {
		case event := <-events:
			return string(event.Message) == "hello"
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
}
