package nats

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

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
