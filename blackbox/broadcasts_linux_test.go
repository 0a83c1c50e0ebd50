package blackbox

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"time"
)

// Nothing that is said on one of three nodes is lost while nothing breaks: two members on each
// hear all of it, the words of each speaker in order. These are 20,000 messages, or a million
// if the environment has CADDYWS_NODES=2m.
func TestBroadcastsOverNodes(t *testing.T) {
	messages := 20_000
	if lasts, _ := siegeTime(t); lasts > 0 {
		messages = 1_000_000
	} else if race {
		messages = 6_000
	}
	url := urls(startNATS(t, 1))
	var all []*speaker
	for _, s := range startNodes(t, url, url, url) {
		for range 2 {
			c := s.connect(t)
			c.join("/chat")
			all = append(all, &speaker{socket: c, number: len(all), own: make(chan struct{}, ahead), done: make(chan struct{})})
		}
	}
	each := messages / len(all)
	begun := time.Now()
	var work sync.WaitGroup
	for _, c := range all {
		work.Go(func() {
			if err := c.speak(each); err != nil {
				t.Errorf("member %d speaks: %v", c.number, err)
			}
		})
		work.Go(func() {
			if err := c.listen(len(all), each); err != nil {
				t.Errorf("member %d: %v", c.number, err)
			}
		})
	}
	work.Wait()
	t.Logf("%d messages to %d members, %.0f messages a second", each*len(all), len(all), float64(each*len(all))/time.Since(begun).Seconds())
}

// ahead is how many messages a speaker may send that it has not heard yet.
const ahead = 100

// speaker is a member of the chat that says its number, and counts.
type speaker struct {
	*socket
	number int
	own    chan struct{} // what it has said and not heard
	done   chan struct{} // closed when it listens no more
}

// speak says so many messages.
func (c *speaker) speak(each int) error {
	for n := range each {
		select {
		case c.own <- struct{}{}:
		case <-c.done:
			return nil
		}
		if _, err := io.WriteString(c, text(fmt.Sprint(c.number, " ", n))); err != nil {
			return err
		}
	}
	return nil
}

// listen hears what all speakers say.
func (c *speaker) listen(speakers, each int) error {
	heard := make([]int, speakers)
	defer close(c.done)
	for range speakers * each {
		f, err := readFrame(c.r)
		if err != nil {
			return fmt.Errorf("heard %v: %w", heard, err)
		}
		var from, n int
		if _, err := fmt.Sscan(f.payload, &from, &n); err != nil || from < 0 || from >= speakers || heard[from] != n {
			return fmt.Errorf("heard %v, then %q", heard, show(f))
		}
		if heard[from]++; from == c.number {
			<-c.own
		}
	}
	return nil
}
