package nats

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/enginestest"
)

// life is the epoch of rooms in tests.
const life = "EPOCHONE"

// Many rooms, each swapped by one after the other.
func BenchmarkSwap(b *testing.B) {
	for _, size := range []int{200, 36 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			e := openEngine(b, &Opener{URLs: []string{startServer(b, serverOptions(b)).ClientURL()}, Bucket: newBucket()})
			var rooms atomic.Int64
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				room, rev := key(int(rooms.Add(1))), uint64(0)
				v := engines.Value{State: make([]byte, size), Used: today}
				for pb.Next() {
					var err error
					if rev, err = e.Swap(b.Context(), room, rev, v); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// One room, loaded by many at the same time, as nodes do that have heard of a change.
func BenchmarkLoad(b *testing.B) {
	e := openEngine(b, &Opener{URLs: []string{startServer(b, serverOptions(b)).ClientURL()}, Bucket: newBucket()})
	if _, err := e.Swap(bounded(b), key(1), 0, engines.Value{State: make([]byte, 200), Used: today}); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := e.Load(b.Context(), key(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// A node that starts reads the index of 10,000 rooms, and later that of all that have changed.
func BenchmarkFollow(b *testing.B) {
	const rooms = 10_000
	o := &Opener{URLs: []string{startServer(b, serverOptions(b)).ClientURL()}, Bucket: newBucket()}
	e := openEngine(b, o)
	for i := range rooms {
		if _, err := e.Swap(bounded(b), key(i), 0, value("x")); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		e := openEngine(b, o)
		b.StartTimer()
		if n, err := e.Count(bounded(b)); n != rooms || err != nil {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N*rooms)/b.Elapsed().Seconds(), "rooms/s")
}

// Messages of many rooms, appended one after the other in each.
func BenchmarkAppend(b *testing.B) {
	for _, rooms := range []int{1, 64} {
		b.Run(fmt.Sprint(rooms, " rooms"), func(b *testing.B) {
			e := openEngine(b, &Opener{URLs: []string{startServer(b, serverOptions(b)).ClientURL()}, Bucket: newBucket()})
			appendEvenly(b, e, rooms, b.N/rooms+1)
		})
	}
}

// appendEvenly appends so many messages to each of so many rooms.
func appendEvenly(b *testing.B, e *Engine, rooms, messages int) {
	b.Helper()
	var work sync.WaitGroup
	for r := range rooms {
		v := value("x")
		v.Epoch = life
		if _, err := e.Swap(b.Context(), key(r), 0, v); err != nil {
			b.Fatal(err)
		}
	}
	for w := range min(rooms, 64) {
		work.Go(func() {
			for i := range messages {
				for r := w; r < rooms; r += 64 {
					if _, err := e.Append(b.Context(), key(r), life, uint64(i), [][]byte{make([]byte, 200)}); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	work.Wait()
}

// Clients come back to any of many rooms, and are sent the messages behind any point: 50 at
// most.
func BenchmarkResume(b *testing.B) {
	const rooms = 1000
	messages, _ := strconv.Atoi(cmp.Or(os.Getenv("CADDYWS_MESSAGES"), "100")) // in each room
	e := openEngine(b, &Opener{URLs: []string{startServer(b, serverOptions(b)).ClientURL()}, Bucket: newBucket()})
	appendEvenly(b, e, rooms, messages)
	enginestest.Resume(b, e, key, life, rooms, messages)
}
