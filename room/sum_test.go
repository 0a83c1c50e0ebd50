package room_test

import (
	"fmt"
	"github.com/caddyws/caddy-websocket/frames"
	"strconv"
	"sync"
	"testing"

	"github.com/caddyws/caddy-websocket/apps/sum"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// scaled is n, or a tenth of it under the race detector.
func scaled(n int) int {
	if raceEnabled || testing.Short() {
		return n / 10
	}
	return n
}

// listener follows one connection of a sum room to whose total only 1 is added:
// total and version are the same number then.
type listener struct {
	c       *hubtest.Client
	last    uint64 // version
	replies int
}

// follow reads until the total is final and as many replies have come.
func (l *listener) follow(final uint64, replies int) error {
	for l.last < final || l.replies < replies {
		s, err := l.c.ReadSaid()
		if err != nil {
			return err
		}
		if err := l.check(s); err != nil {
			return err
		}
	}
	return nil
}

func (l *listener) check(s hubtest.Said) error {
	switch {
	case s.Total.String() != strconv.FormatUint(s.Version, 10):
		return fmt.Errorf("version %d shows the total %s", s.Version, s.Total)
	case s.Version < l.last:
		return fmt.Errorf("version %d after %d", s.Version, l.last)
	case s.Type == "reply" && s.Version == l.last:
		return fmt.Errorf("the reply with version %d is not its sender's own", s.Version)
	}
	if s.Type == "reply" {
		l.replies++
	}
	l.last = s.Version
	return nil
}

// The figures of the issue: 1,000 connections in one room, 100,000 increments
// from 50 of them. Every increment counts once, every sender gets a reply of its
// own for each, in order, nobody ever sees the total fall, and everybody ends
// with the final one.
func TestSumOfManyIsExactForEverybody(t *testing.T) {
	const senders = 50
	members, each := scaled(1000), scaled(100_000)/senders
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(new(sum.App))
	final := uint64(senders * each)
	failures := make(chan error, 2*members)
	var wg sync.WaitGroup
	for i := range members {
		l := &listener{c: w.JoinJSON(route)}
		replies := 0
		if i < senders {
			replies = each
			wg.Go(func() { failures <- increment(l.c, each) })
		}
		wg.Go(func() { failures <- l.follow(final, replies) })
	}
	wg.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			t.Error(err)
		}
	}
	if s, err := w.JoinJSON(route).ReadSaid(); err != nil || s.Version != final {
		t.Errorf("who joins now is shown version %d, %v; want %d", s.Version, err, final)
	}
}

func increment(c *hubtest.Client, n int) error {
	for range n {
		if _, err := c.Write(hubtest.Texts("1")); err != nil {
			return err
		}
	}
	return nil
}

// With reply_only a client reads exactly one frame for each message: its own
// turn's total, though 50 others add 1 without a pause. How many thousand
// millions the total has tells whose turn it was.
func TestReplyOnlyAnswersTheSenderWithItsOwnTurn(t *testing.T) {
	const billion = 1_000_000_000
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(&sum.App{ReplyOnly: true})
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(done)
	for range 50 {
		c := w.Join(route)
		wg.Go(func() { pester(t, c, done) })
	}
	ones := 0
	for turn := 1; turn <= scaled(1000); turn++ {
		c := w.Join(route)
		c.Send("1000000000")
		text, err := c.ReadText()
		total, _ := strconv.Atoi(text)
		if err != nil || total/billion != turn || total%billion < ones {
			t.Fatalf("turn %d: read %q, %v after %d ones", turn, text, err, ones)
		}
		ones = total % billion
		c.Send("0") // nothing came in between
		c.ExpectPrefix(strconv.Itoa(turn))
		c.Close()
	}
}

// pester sends 1 and reads the answer, again and again.
func pester(t *testing.T, c *hubtest.Client, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		if _, err := c.Write(hubtest.Texts("1")); err != nil {
			t.Error(err)
			return
		}
		if _, err := c.ReadText(); err != nil {
			t.Error(err)
			return
		}
	}
}

// What is refused has its place among the answers, whether by the state or by
// the app's Receive.
func TestPipelinedMessagesAreAnsweredInOrder(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	c := w.Join(hubtest.Route(&sum.App{ReplyOnly: true}))
	p := hubtest.Texts("1", "x", "1")
	p = append(p, frames.AppendMasked(nil, frames.Header{Fin: true, Opcode: frames.Binary}, []byte("b"))...)
	p = append(p, hubtest.Texts("1", "2")...)
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
	c.Expect("1", "error: not a number", "2", "error: binary message, send a number as text", "3", "5")
}
