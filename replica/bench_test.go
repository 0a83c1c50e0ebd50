package replica

import (
	"strconv"
	"testing"

	"github.com/caddyws/caddy-websocket/engines/memory"
)

// A commit to memory of operations without ids.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 64, 4096} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			r := New(key, &Store{Engine: new(memory.Engine), Limit: new(limit)}, func(err error) { b.Error(err) })
			if err := r.Load(b.Context(), &adder{fault: make(map[string]int)}); err != nil {
				b.Fatal(err)
			}
			batch := make([]Operation, size)
			for i := range batch {
				batch[i].Data = []byte("0")
			}
			b.ReportAllocs()
			for b.Loop() {
				r.Commit(b.Context(), batch)
			}
		})
	}
}
