package enginestest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

var shared = map[string]func(*testing.T, *subject){
	"a change of another process is told":            changeTold,
	"messages are told to others, in order":          messagesTold,
	"rooms do not hear of each other":                roomsApart,
	"nothing is told after cancel":                   cancelled,
	"a closed engine tells nothing and says nothing": closedShared,
	"what another process appends is told":           appendTold,
}

// patience bounds how long an event may take to arrive.
const patience = time.Minute

// another opens the engine a second time, as another process would.
func (s *subject) another() (engines.Engine, engines.Shared) {
	s.t.Helper()
	if _, ok := s.Engine.(engines.Shared); !ok {
		s.t.Skip("the engine is not shared")
	}
	e, err := s.opener.Open(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := e.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return e, e.(engines.Shared)
}

// listen returns what is told of a room.
func (s *subject) listen(e engines.Shared, key engines.Key) (events chan engines.Event, cancel func()) {
	s.t.Helper()
	events = make(chan engines.Event, 1000)
	ctx, end := context.WithTimeout(s.t.Context(), patience)
	defer end()
	cancel, err := e.Subscribe(ctx, key, func(event engines.Event) {
		if !event.Cut { // which is told whenever that may be so
			events <- event
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return events, cancel
}

// hear waits for an event.
func (s *subject) hear(events chan engines.Event) engines.Event {
	s.t.Helper()
	select {
	case event := <-events:
		return event
	case <-time.After(patience):
		s.t.Fatal("nothing is told")
		return engines.Event{}
	}
}

// hearRev waits until a revision, or a newer one, is told.
func (s *subject) hearRev(events chan engines.Event, rev uint64) {
	s.t.Helper()
	for {
		event := s.hear(events)
		if event.Message != nil || event.Rev == 0 {
			s.t.Fatalf("told %+v, waiting for revision %d", event, rev)
		}
		if event.Rev >= rev {
			return
		}
	}
}

func (s *subject) publish(e engines.Shared, key engines.Key, message string) {
	s.t.Helper()
	if err := e.Publish(s.t.Context(), key, []byte(message)); err != nil {
		s.t.Fatal(err)
	}
}

// greet says something in a room until all hear it: servers of a cluster take a moment until
// they know who listens. What is said later is heard by all.
func (s *subject) greet(e engines.Shared, key engines.Key, all ...chan engines.Event) {
	s.t.Helper()
	for _, events := range all {
		for end := time.Now().Add(patience); len(events) == 0; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				s.t.Fatal("nothing is told")
			}
			s.publish(e, key, "hello")
		}
	}
	s.publish(e, key, "hello, last")
	for _, events := range all {
		for text := ""; text != "hello, last"; {
			if text = string(s.hear(events).Message); !strings.HasPrefix(text, "hello") {
				s.t.Fatalf("told %q before others say anything else", text)
			}
		}
	}
}

func changeTold(t *testing.T, s *subject) {
	other, _ := s.another()
	events, cancel := s.listen(s.Engine.(engines.Shared), room)
	defer cancel()
	rev := uint64(0)
	for i := range 10 {
		var err error
		if rev, err = other.Swap(t.Context(), room, rev, value(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		s.hearRev(events, rev)
		s.expect(room, fmt.Sprint(i), rev)
	}
	if err := other.Delete(t.Context(), room, rev); err != nil {
		t.Fatal(err)
	}
	s.hearRev(events, rev+1)
	if _, _, err := s.Load(t.Context(), room); !errors.Is(err, engines.ErrNotFound) {
		t.Errorf("loading a deleted room: %v", err)
	}
}

// messagesTold: to every subscriber of the other process, each once, and not to its own.
func messagesTold(t *testing.T, s *subject) {
	_, other := s.another()
	own, cancelOwn := s.listen(s.Engine.(engines.Shared), room)
	defer cancelOwn()
	first, cancelFirst := s.listen(other, room)
	defer cancelFirst()
	second, cancelSecond := s.listen(other, room)
	defer cancelSecond()
	s.greet(s.Engine.(engines.Shared), room, first, second)
	for i := range 100 {
		s.publish(s.Engine.(engines.Shared), room, fmt.Sprint("message ", i))
	}
	for _, events := range []chan engines.Event{first, second} {
		for i := range 100 {
			if event := s.hear(events); string(event.Message) != fmt.Sprint("message ", i) || event.Rev != 0 {
				t.Fatalf("%q, %d, want message %d", event.Message, event.Rev, i)
			}
		}
	}
	s.publish(s.Engine.(engines.Shared), room, "")
	if event := s.hear(first); event.Message == nil || len(event.Message) != 0 {
		t.Errorf("an empty message is %v", event.Message)
	}
	s.greet(other, room, own)
	s.publish(other, room, "back")
	if event := s.hear(own); string(event.Message) != "back" {
		t.Errorf("the publisher hears %q", event.Message)
	}
	if err := other.Publish(t.Context(), room, make([]byte, s.MaxState()+1)); err == nil {
		t.Error("a message larger than MaxState is published")
	}
}

func roomsApart(t *testing.T, s *subject) {
	other, publisher := s.another()
	events, cancel := s.listen(s.Engine.(engines.Shared), room)
	defer cancel()
	s.greet(publisher, room, events)
	for _, key := range []engines.Key{next, {App: "sum"}, {App: "sum2", Room: room.Room}, {App: "sum", Room: room.Room + ".x"}, {App: "sum", Room: "*"}, {App: "sum", Room: ">"}} {
		s.publish(publisher, key, "elsewhere")
		if _, err := other.Swap(t.Context(), key, 0, value("elsewhere")); err != nil {
			t.Fatal(err)
		}
	}
	s.publish(publisher, room, "here")
	if event := s.hear(events); string(event.Message) != "here" {
		t.Errorf("told %+v", event)
	}
}

func cancelled(t *testing.T, s *subject) {
	_, other := s.another()
	gone, cancelGone := s.listen(s.Engine.(engines.Shared), room)
	events, cancel := s.listen(s.Engine.(engines.Shared), room)
	defer cancel()
	s.greet(other, room, gone, events)
	cancelGone()
	cancelGone()
	s.publish(other, room, "x")
	if event := s.hear(events); string(event.Message) != "x" {
		t.Errorf("told %+v", event)
	}
	if n := len(gone); n != 0 {
		t.Errorf("%d events after cancel", n)
	}
}

func closedShared(t *testing.T, s *subject) {
	_, other := s.another()
	e := s.Engine.(engines.Shared)
	_, cancel := s.listen(e, room)
	s.close()
	cancel()
	if _, err := e.Subscribe(t.Context(), room, func(engines.Event) {}); err == nil {
		t.Error("it subscribes")
	}
	if err := e.Publish(t.Context(), room, []byte("x")); err == nil {
		t.Error("it publishes")
	}
	s.publish(other, room, "nobody hears")
}

// appendTold: once, and not by trims; and of one log only.
func appendTold(t *testing.T, s *subject) {
	other, _ := s.another()
	log, ok := other.(engines.Log)
	if !ok {
		t.Skip("the engine keeps no logs")
	}
	events, cancel := s.listen(s.Engine.(engines.Shared), room)
	defer cancel()
	s.swap(next, 0, "x")
	if _, err := log.Append(t.Context(), next, life, 0, texts(1, 3)); err != nil {
		t.Fatal(err)
	}
	rev, err := other.Swap(t.Context(), room, 0, value("x"))
	if err != nil {
		t.Fatal(err)
	}
	s.hearRev(events, rev)
	for last := 2; last <= 20; last += 2 {
		if _, err := log.Append(t.Context(), room, life, uint64(last-2), texts(last-1, last)); err != nil {
			t.Fatal(err)
		}
		for event := s.hear(events); event.Last != uint64(last); event = s.hear(events) {
			if event.Rev == 0 {
				t.Fatalf("told %+v, waiting for %d", event, last)
			}
		}
		s.expectLog(room, life, uint64(last-1), uint64(last))
		if err := log.Trim(t.Context(), room, life, uint64(last)); err != nil {
			t.Fatal(err)
		}
	}
	s.append(room, 21, 22)
	if _, err := log.Append(t.Context(), room, life, 22, texts(23, 23)); err != nil {
		t.Fatal(err)
	}
	if event := s.hear(events); event.Epoch != life || event.Last != 23 || event.Message != nil {
		t.Errorf("told %+v", event)
	}
}
