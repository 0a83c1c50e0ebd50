package bolt

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/enginestest"
)

// BenchmarkSwap is about rooms that each store one value after another. Compare it with
// BenchmarkDisk.
func BenchmarkSwap(b *testing.B) {
	for _, rooms := range []int{1, 64, 1024} {
		for _, size := range []int{200, 36 << 10, 256 << 10} {
			if rooms*size > 64<<20 {
				continue
			}
			b.Run(fmt.Sprintf("%dx%d", rooms, size), func(b *testing.B) {
				e := openEngine(b, temporary(b))
				v := value(strings.Repeat("x", size))
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				for room := range rooms {
					wg.Go(func() {
						for rev := uint64(0); left.Add(-1) >= 0; {
							var err error
							if rev, err = e.Swap(context.Background(), key(room), rev, v); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "swaps/s")
			})
		}
	}
}

// BenchmarkDisk writes and syncs 4 KiB.
func BenchmarkDisk(b *testing.B) {
	file, err := os.Create(temporary(b))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for b.Loop() {
		if _, err := file.WriteAt(make([]byte, 4096), 0); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	e := openEngine(b, temporary(b))
	fill(b, e, 1000, strings.Repeat("x", 200))
	for i := 0; b.Loop(); i++ {
		if _, _, err := e.Load(b.Context(), key(i%1000)); err != nil {
			b.Fatal(err)
		}
	}
}

// Clients come back to any of many rooms, and are sent the messages behind any point: 50 at
// most. Set CADDYWS_MESSAGES to how many there are in each room.
func BenchmarkResume(b *testing.B) {
	const rooms = 1000
	messages, _ := strconv.Atoi(cmp.Or(os.Getenv("CADDYWS_MESSAGES"), "100"))
	e := openEngine(b, temporary(b))
	fill(b, e, rooms, "x")
	var work sync.WaitGroup
	for room := range rooms {
		work.Go(func() {
			for n := range messages {
				if _, err := e.Append(b.Context(), key(room), childEpoch, uint64(n), [][]byte{make([]byte, 200)}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	enginestest.Resume(b, e, key, childEpoch, rooms, messages)
}

// A file of a million rooms opens and counts in a moment. Set BOLT_TEST_ROOMS to how
// many there are.
func TestManyRooms(t *testing.T) {
	rooms, err := strconv.Atoi(os.Getenv("BOLT_TEST_ROOMS"))
	if err != nil {
		t.Skip("BOLT_TEST_ROOMS is not set")
	}
	path := temporary(t)
	e := openEngine(t, path)
	lap := laps(t)
	const hands = 2000
	var wg sync.WaitGroup
	for hand := range hands {
		wg.Go(func() {
			for i := hand; i < rooms; i += hands {
				v := engines.Value{State: make([]byte, 200), Used: today.Add(time.Duration(i) * time.Minute)}
				if _, err := e.Swap(t.Context(), key(i), 0, v); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	lap("filling")
	closeEngine(t, e)
	lap("closing")
	_ = os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0) // if it is allowed
	lap("dropping caches")
	e = openEngine(t, path)
	lap("opening")
	if n, err := e.Count(t.Context()); err != nil || n != rooms {
		t.Errorf("%d rooms, %v", n, err)
	}
	lap("counting")
	expect(t, e, key(rooms/2), string(make([]byte, 200)))
	lap("loading one")
	uses, err := e.Unused(t.Context(), today.Add(100*24*time.Hour), engines.Use{}, 1000)
	if err != nil || len(uses) != min(1000, rooms) {
		t.Errorf("%d unused rooms, %v", len(uses), err)
	}
	lap("finding 1000 unused rooms")
	listed := 0
	for after := (engines.Key{}); ; {
		keys, err := e.List(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if listed += len(keys); len(keys) < 1000 {
			break
		}
		after = keys[len(keys)-1]
	}
	if listed != rooms {
		t.Errorf("%d rooms are listed", listed)
	}
	lap("listing all")
	t.Logf("%d bytes", mustStat(t, path).Size())
}

// laps returns a function that logs the time since its last call.
func laps(t *testing.T) func(what string) {
	last := time.Now()
	return func(what string) {
		t.Logf("%s: %v", what, time.Since(last).Round(10*time.Microsecond))
		last = time.Now()
	}
}
