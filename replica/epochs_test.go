package replica

import (
	"strconv"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

func TestEpochsAreOfTheRoom(t *testing.T) {
	var a, b epochs
	seen := make(map[string]engines.Key)
	for _, key := range []engines.Key{{App: "sum", Room: "x"}, {App: "sum", Room: "y"}, {App: "su", Room: "mx"}, {App: "sumx"}, {Room: "sumx"}, {}} {
		epoch := a.of(key)
		if len(epoch) != epochSize || a.of(key) != epoch {
			t.Errorf("%v has the epochs %q, %q", key, epoch, a.of(key))
		}
		if other, ok := seen[epoch]; ok || b.of(key) == epoch {
			t.Errorf("%v has the epoch of %v, or in another hub the same", key, other)
		}
		seen[epoch] = key
	}
}

// A spent epoch never comes again.
func TestEpochsAreSpentOnce(t *testing.T) {
	var e epochs
	key, seen := engines.Key{App: "a", Room: "key"}, make(map[string]bool)
	for range 1000 {
		epoch := e.of(key)
		if seen[epoch] {
			t.Fatalf("epoch %q comes again", epoch)
		}
		seen[epoch] = true
		e.spend(key)
	}
}

// That of the others stays until too many are spent.
func TestEpochsRememberSoMany(t *testing.T) {
	var e epochs
	other := engines.Key{App: "a", Room: "other"}
	before := e.of(other)
	for i := range maxSpent {
		e.spend(engines.Key{App: "a", Room: strconv.Itoa(i)})
	}
	if e.of(other) != before {
		t.Error("others have changed an epoch")
	}
	e.spend(engines.Key{App: "a", Room: "one more"})
	if e.of(other) == before || len(e.next) != 1 {
		t.Errorf("%d are remembered", len(e.next))
	}
}

func BenchmarkEpochOf(b *testing.B) {
	var e epochs
	b.ReportAllocs()
	for b.Loop() {
		e.of(engines.Key{App: "sum", Room: "//example.com/some/room"})
	}
}
