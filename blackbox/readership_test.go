package blackbox

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// readership is two newspapers with fifteen readers of all ways each. Of the long one many messages
// are kept, and the producer sends 500 a second; of the brief one few are kept, readers are away
// until some are gone, and each is published when the one before it is acknowledged.
type readership struct {
	t         *testing.T
	begun     time.Time
	lasted    time.Duration // until the end
	papers    []*newspaper
	readers   []*subscriber
	producing sync.WaitGroup
	reading   sync.WaitGroup
}

// gather founds the newspapers, which from then on are written and read through the doors.
func gather(t *testing.T, s *server, doors ...string) *readership {
	t.Helper()
	all := &readership{t: t, begun: time.Now()}
	long, brief := found(t, s, "/long/cut"), found(t, s, "/brief/cut")
	long.keeps = 10_000
	brief.keeps, brief.rests = 20, true
	for _, n := range []*newspaper{long, brief} {
		n.doors = doors
		all.papers = append(all.papers, n)
		for i := range 15 {
			r := &subscriber{paper: n}
			all.readers = append(all.readers, r)
			all.run(&all.reading, func() error { return r.read(readingWays[i%len(readingWays)]) })
		}
	}
	all.run(&all.producing, long.wire)
	all.run(&all.producing, brief.print)
	return all
}

func (all *readership) run(group *sync.WaitGroup, do func() error) {
	group.Go(func() {
		if err := do(); err != nil {
			all.t.Error(err)
		}
	})
}

// progress waits until so many more messages are published of each newspaper.
func (all *readership) progress(more uint64) {
	all.t.Helper()
	wanted := make(map[*newspaper]uint64)
	for _, n := range all.papers {
		wanted[n] = n.printed.Load() + more
	}
	for n, wanted := range wanted {
		until(all.t, "messages to be published", func() bool { return n.printed.Load() >= wanted || all.t.Failed() })
	}
}

// gaps is how many gaps the readers of a newspaper were told.
func (all *readership) gaps(n *newspaper) (told int64) {
	for _, r := range all.readers {
		if r.paper == n {
			told += r.gaps.Load()
		}
	}
	return told
}

// lacksGaps reports whether there is a newspaper whose readers rest, and were told no gap yet.
func (all *readership) lacksGaps() bool {
	return slices.ContainsFunc(all.papers, func(n *newspaper) bool { return n.rests && all.gaps(n) == 0 })
}

// end has the producers end, and waits until the readers have all messages.
func (all *readership) end() {
	all.t.Helper()
	for _, n := range all.papers {
		n.end()
	}
	all.producing.Wait()
	all.lasted = time.Since(all.begun)
	all.reading.Wait()
	for _, r := range all.readers {
		if r.at != r.paper.last.Load() {
			all.t.Errorf("%s: read to %d of %d", r.paper.path, r.at, r.paper.last.Load())
		}
	}
}

// check looks whether a server shows that as many messages as were published are all there are,
// once it can.
func (all *readership) check(s *server) {
	all.t.Helper()
	for _, n := range all.papers {
		last := n.last.Load()
		var a answer
		until(all.t, "messages to be shown", func() bool {
			a = s.ask(all.t, http.MethodGet, n.path+"?limit=1&after="+n.point(last), "", "Accept: application/json")
			return a.status != http.StatusServiceUnavailable
		})
		if h := a.history(all.t); h.Last != last || h.Gap || len(h.Messages) > 0 {
			all.t.Errorf("%s: %+v, %d are acknowledged", n.path, h, n.printed.Load())
		}
	}
}

// String tells what has come to pass.
func (all *readership) String() string {
	visits := 0
	for _, r := range all.readers {
		visits += r.visits
	}
	text := ""
	for _, n := range all.papers {
		last := n.last.Load()
		text += fmt.Sprintf("%d messages in %s, %.0f a second, %d gaps; ", last, n.path, float64(last)/all.lasted.Seconds(), all.gaps(n))
	}
	return text + fmt.Sprintf("%d visits of %d readers", visits, len(all.readers))
}
