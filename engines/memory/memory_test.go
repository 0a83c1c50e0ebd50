package memory_test

import (
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/enginestest"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

func TestContract(t *testing.T) {
	enginestest.Run(t, func(*testing.T) engines.Opener { return new(memory.Opener) })
}

// A room that stays as large and is used within the hour costs no memory.
func TestSwapAllocatesNothing(t *testing.T) {
	e, key := new(memory.Engine), engines.Key{App: "sum", Room: "room"}
	v := engines.Value{State: make([]byte, 100), Used: time.Date(2030, 1, 1, 0, 30, 0, 0, time.UTC)}
	var rev uint64
	if n := testing.AllocsPerRun(100, func() {
		var err error
		if rev, err = e.Swap(t.Context(), key, rev, v); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSwap(b *testing.B) {
	e, key := new(memory.Engine), engines.Key{App: "sum", Room: "room"}
	v := engines.Value{State: make([]byte, 100), Used: time.Now()}
	var rev uint64
	for b.Loop() {
		rev, _ = e.Swap(b.Context(), key, rev, v)
	}
}
