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
			if err := r.Load(b.Context(), &adder{fault: make(map[string]int)}, "route"); err != nil {
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

// What a full table costs: to be stored, loaded or undone, to be looked up in, and to
// take one more.
func BenchmarkFullTable(b *testing.B) {
	r := fullReplica()
	stored := r.ids.appendTo(nil)
	once := func(client string, n uint64) *Once { return &Once{ID: ID{client, n}, Network: "192.0.2.1"} }
	b.Run("encode", func(b *testing.B) {
		p := make([]byte, 0, maxIDsSize)
		b.ReportAllocs()
		for b.Loop() {
			r.ids.appendTo(p)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			divideIDs(stored)
		}
	})
	b.Run("restore", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.ids.restore(stored)
		}
	})
	b.Run("restore and find", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.ids.restore(stored)
			r.ids.clients.place(name{})
		}
	})
	b.Run("next of a client", func(b *testing.B) {
		b.ReportAllocs()
		n := uint64(1)
		for b.Loop() {
			n++
			o := once("client1999", n)
			m := o.mark([]byte("data"))
			if _, counts := r.judge(o, m); !counts {
				b.Fatal(n)
			}
			r.remember(o, m, n, Result{Version: n})
		}
	})
	b.Run("repeat", func(b *testing.B) {
		r.ids.restore(stored)
		o := once("client1998", 1)
		b.ReportAllocs()
		for b.Loop() {
			if res, _ := r.judge(o, o.mark([]byte("data"))); !res.Repeat {
				b.Fatal(res)
			}
		}
	})
	b.Run("new client", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n++
			o := once("new"+strconv.Itoa(n), 1)
			m := o.mark([]byte("data"))
			if _, counts := r.judge(o, m); !counts {
				b.Fatal(n)
			}
			r.remember(o, m, uint64(n), Result{Version: uint64(n)})
		}
	})
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n++
			o := once("a new key "+strconv.Itoa(n), 0)
			m := o.mark([]byte("data"))
			if _, counts := r.judge(o, m); !counts {
				b.Fatal(n)
			}
			r.remember(o, m, uint64(n), Result{Version: uint64(n)})
		}
	})
}

// A commit to memory of operations with ids, into a full table.
func BenchmarkCommitOnce(b *testing.B) {
	for _, size := range []int{1, 64, 4096} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			r := New(key, &Store{Engine: new(memory.Engine), Limit: new(limit)}, func(err error) { b.Error(err) })
			if err := r.Load(b.Context(), &adder{fault: make(map[string]int)}, "route"); err != nil {
				b.Fatal(err)
			}
			r.ids = fullReplica().ids
			r.stored.ids = r.ids.appendTo(nil)
			batch := make([]Operation, size)
			for i := range batch {
				batch[i] = Operation{Data: []byte("0"), Once: &Once{ID: ID{"client" + strconv.Itoa(1000+i%1000), 1}}}
			}
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					known, _ := r.ids.clients.find(nameOf("", batch[i].Once.ID))
					batch[i].Once.ID.N = known.last + 1 + uint64(i/1000)
				}
				for _, res := range r.Commit(b.Context(), batch) {
					if res.Err != nil {
						b.Fatal(res.Err)
					}
				}
			}
		})
	}
}
