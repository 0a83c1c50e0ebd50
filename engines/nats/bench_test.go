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
