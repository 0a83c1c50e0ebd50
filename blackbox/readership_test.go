package blackbox

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// readership is two newspapers with fifteen readers of all ways each. Of one all messages are
// kept, and the producer sends 500 a second; of the other one only the newest are kept, and each
// is published when the one before it is acknowledged.
type readership struct {
	t         *testing.T
	papers    []*newspaper
	readers   []*subscriber
	producing sync.WaitGroup
	reading   sync.WaitGroup
}

// gather founds the newspapers, which from then on are written and read through the doors.
func gather(t *testing.T, s *server, doors ...string) *readership {
	t.Helper()
	all := &readership{t: t}
	for path, keeps := range map[string]uint64{"/long/cut": 0, "/brief/cut": 20} {
		n := found(t, s, path)
		n.doors, n.keeps = doors, keeps
		all.papers = append(all.papers, n)
		if keeps == 0 {
			all.run(&all.producing, n.wire)
		} else {
			all.run(&all.producing, n.print)
		}
		for i := range 15 {
			r := &subscriber{paper: n}
			all.readers = append(all.readers, r)
			all.run(&all.reading, func() error { return r.read(readingWays[i%len(readingWays)]) })
		}
	}
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

// gaps is how many gaps the readers were told.
func (all *readership) gaps() (told int64) {
	for _, r := range all.readers {
		told += r.gaps.Load()
	}
	return told
}

// end has the producers end, and waits until the readers have all messages.
func (all *readership) end() {
	all.t.Helper()
	for _, n := range all.papers {
		n.end()
	}
	all.producing.Wait()
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
	return fmt.Sprintf("%d and %d messages, %d visits of %d readers, %d gaps", all.papers[0].last.Load(), all.papers[1].last.Load(), visits, len(all.readers), all.gaps())
}
