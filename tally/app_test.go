package tally_test

import (
	"sync"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/tally"
)

// Whatever parts rooms count in, nothing is lost.
func TestOperationsOfAnApp(t *testing.T) {
	s := tally.NewSet()
	var rooms sync.WaitGroup
	for range 100 {
		rooms.Go(func() {
			p := s.App("sum").Part()
			for range 10 {
				p.Batch(&tally.Results{tally.Stored: 3, tally.Refused: 1})
			}
			p.Batch(&tally.Results{})
			p.Operation(tally.Busy)
			p.Gap()
		})
	}
	rooms.Wait()
	got := s.App("sum").Operations()
	if len(got) != 10 || got["stored"] != 3000 || got["refused"] != 1000 || got["busy"] != 100 || got["failed"] != 0 {
		t.Errorf("%v", got)
	}
	if n := s.App("sum").Gaps(); n != 100 {
		t.Errorf("%d gaps", n)
	}
	batches, durations := s.Work()
	if batches.Count() != 1000 || batches.Sum() != 4000 || durations.Count() != 0 {
		t.Errorf("%+v, %+v", batches, durations)
	}
}

// A value lies below every bound that is not smaller.
func TestHistograms(t *testing.T) {
	s := tally.NewSet()
	p := s.App("sum").Part()
	for _, n := range []uint32{1, 2, 3, 4, 5, 4096} {
		p.Batch(&tally.Results{tally.Stored: n})
	}
	for _, d := range []time.Duration{-1, 0, 64 * time.Microsecond, 64*time.Microsecond + 1, 128 * time.Microsecond, time.Second, time.Hour} {
		p.Commit(d)
	}
	batches, durations := s.Work()
	below := batches.Below(1, tally.Batches)
	for bound, want := range map[float64]uint64{1: 1, 2: 2, 4: 4, 8: 5, 2048: 5, 4096: 6} {
		if below[bound] != want {
			t.Errorf("%d batches have at most %v operations, want %d", below[bound], bound, want)
		}
	}
	if len(below) != 13 || batches.Sum() != 4111 {
		t.Errorf("%v, %v", below, batches.Sum())
	}
	below = durations.Below(tally.FirstDuration, tally.Durations)
	for bound, want := range map[float64]uint64{64e-6: 3, 128e-6: 5, 64e-6 * (1 << 13): 5, 64e-6 * (1 << 14): 6, 64e-6 * (1 << 19): 6} {
		if below[bound] != want {
			t.Errorf("%d commits took at most %v s, want %d: %v", below[bound], bound, want, below)
		}
	}
	if durations.Count() != 7 || durations.Seconds() < 3601 || durations.Seconds() > 3602 {
		t.Errorf("%d, %v", durations.Count(), durations.Seconds())
	}
}

// What an engine has never failed in is shown too, so that the first failure is a rise.
func TestEngineErrors(t *testing.T) {
	s := tally.NewSet()
	s.Engine("bolt")
	s.EngineError(tally.EngineCall{Engine: "bolt", Operation: "swap"})
	s.Engine("bolt")
	got := s.EngineErrors()
	if len(got) != 7 || got[tally.EngineCall{Engine: "bolt", Operation: "swap"}] != 1 {
		t.Errorf("%v", got)
	}
	if n, ok := got[tally.EngineCall{Engine: "bolt", Operation: "load"}]; !ok || n != 0 {
		t.Errorf("%v", got)
	}
}

// The routes of a name, of whatever configuration, have one tally.
func TestNamesShareATally(t *testing.T) {
	s := tally.NewSet()
	a, b := s.Route("a"), s.Route("b")
	if s.Route("a") != a || a == b || len(s.Routes()) != 2 {
		t.Error(s.Routes())
	}
	app := s.App("a")
	if s.App("a") != app || len(s.Apps()) != 1 {
		t.Error(s.Apps())
	}
}
