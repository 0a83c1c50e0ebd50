package blackbox

import (
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// wantedCuts is how often connections are cut.
func wantedCuts(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv("CADDYWS_CUTS")
	if text == "" && race {
		return 100
	}
	if text == "" {
		return 500
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal("CADDYWS_CUTS: ", err)
	}
	return n
}

// missed is how many gaps readers were told.
func missed(readers []*subscriber) (gaps int64) {
	for _, r := range readers {
		gaps += r.gaps.Load()
	}
	return gaps
}

// Producers of up to 500 messages a second and thirty readers, all behind something that
// delays and cuts, of a server that is reloaded and killed. Every reader has all messages in
// their order, once; or, where it was away for longer than messages are kept, gaps that say
// truly where it goes on.
func TestReadersBehindCuts(t *testing.T) {
	wanted := wantedCuts(t)
	s := start(t, historyConfig)
	cutting := newRipper(t, s, 300*time.Millisecond)
	var papers []*newspaper
	var readers []*subscriber
	var reading, printing sync.WaitGroup
	run := func(group *sync.WaitGroup, do func() error) {
		group.Go(func() {
			if err := do(); err != nil {
				t.Error(err)
			}
		})
	}
	for path, rests := range map[string]uint64{"/long/cut": 0, "/short/cut": 60} {
		n := found(t, s, path)
		n.address, n.pause = cutting.Addr().String(), 2*time.Millisecond
		papers = append(papers, n)
		run(&printing, n.print)
		for i := range 15 {
			r := &subscriber{paper: n, rests: rests}
			readers = append(readers, r)
			run(&reading, func() error { return r.read([]way{bySocket, byEvents, byGet}[i%3]) })
		}
	}
	kills := 0
	for ; (cutting.cuts.Load() < wanted || missed(readers) == 0) && !t.Failed(); kills++ {
		for i := range 3 {
			time.Sleep(500 * time.Millisecond)
			s.reload(t, historyConfig+"\n# "+strconv.Itoa(i), i+1)
		}
		s.kill(t)
		s.again(t)
	}
	for _, n := range papers {
		n.last.Store(n.printed.Load() + 1) // it may be on its way
	}
	printing.Wait()
	reading.Wait()
	visits := 0
	for _, r := range readers {
		visits += r.visits
		if r.at != r.paper.last.Load() {
			t.Errorf("%s: read to %d of %d", r.paper.path, r.at, r.paper.last.Load())
		}
	}
	for _, n := range papers {
		if h := s.history(t, n.path+"?limit=1"); h.Last != n.last.Load() {
			t.Errorf("%s: %+v, %d are acknowledged", n.path, h, n.printed.Load())
		}
	}
	t.Logf("%d cuts, %d kills, %d reloads; %d and %d messages, %d visits of %d readers, %d gaps", cutting.cuts.Load(), kills, 3*kills, papers[0].last.Load(), papers[1].last.Load(), visits, len(readers), missed(readers))
}
