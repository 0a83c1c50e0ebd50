package nats

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// The set against a sorted slice, over several blocks.
func TestOrderedIsASortedSet(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var o ordered
	var want []item
	for range 20000 {
		x := item{int64(rng.IntN(50)), engines.Key{App: "a", Room: fmt.Sprint(rng.IntN(100))}}
		i, found := slices.BinarySearchFunc(want, x, compareItems)
		switch {
		case found:
			want = slices.Delete(want, i, i+1)
			o.remove(x)
		case rng.IntN(100) < 70:
			want = slices.Insert(want, i, x)
			o.add(x)
		default:
			o.remove(x) // it is not there
		}
	}
	if got := slices.Collect(o.after(item{at: -1})); !slices.Equal(got, want) {
		t.Fatalf("%d items, want %d", len(got), len(want))
	}
	if len(o.blocks) < 3 {
		t.Fatalf("%d blocks", len(o.blocks))
	}
	for _, n := range []int{0, len(want) / 2, len(want) - 1} {
		if got := slices.Collect(o.after(want[n])); !slices.Equal(got, want[n+1:]) {
			t.Errorf("behind item %d there are %d, want %d", n, len(got), len(want)-n-1)
		}
	}
	for _, x := range want {
		o.remove(x)
	}
	if len(o.blocks) != 0 {
		t.Errorf("%d blocks are left", len(o.blocks))
	}
}

// What is read of the stream may be older than what this engine has stored or deleted since.
func TestTheIndexNeverGoesBack(t *testing.T) {
	room, later := engines.Key{App: "a", Room: "b"}, times{used: 9, wake: 9}
	var x index
	x.put(room, 5, later)
	x.put(room, 4, times{used: 1})
	x.drop(room, 3)
	if uses := x.unused(hour(10).time(), engines.Use{}, 9); len(uses) != 1 || !uses[0].Used.Equal(hour(9).time()) {
		t.Errorf("%v", uses)
	}
	x.drop(room, 6)
	x.put(room, 5, later)
	if n := x.count(); n != 0 {
		t.Errorf("a deleted room is there again")
	}
	x.advance(6)
	if len(x.gone) != 0 {
		t.Errorf("%d deleted rooms are remembered", len(x.gone))
	}
	x.drop(room, 6)
	if len(x.gone) != 0 {
		t.Errorf("a deletion that was read is remembered")
	}
	x.put(room, 7, later)
	if n := x.count(); n != 1 || len(x.list(engines.Key{}, 9)) != 1 || len(x.due(time.Now(), engines.Wake{}, 9)) != 1 {
		t.Errorf("%d rooms", n)
	}
}

// Nearly always a room that is entered again has its times of before.
func BenchmarkIndexWithinTheHour(b *testing.B) {
	var x index
	keys := make([]engines.Key, 100_000)
	for i := range keys {
		keys[i] = engines.Key{App: "sum", Room: fmt.Sprintf("example.com/rooms/%d", i)}
	}
	rev := uint64(0)
	put := func() {
		rev++
		x.put(keys[rev*31%uint64(len(keys))], rev, times{used: 480_000})
	}
	for range keys {
		put()
	}
	for b.Loop() {
		put()
	}
}

// A million rooms are entered, counted and found fast enough to be asked for.
func BenchmarkIndex(b *testing.B) {
	var x index
	keys := make([]engines.Key, 100_000)
	for i := range keys {
		keys[i] = engines.Key{App: "sum", Room: fmt.Sprintf("example.com/rooms/%d", i)}
	}
	rev := uint64(0)
	for b.Loop() {
		rev++
		x.put(keys[rev%uint64(len(keys))], rev, times{used: hour(rev % 1000), wake: moment(rev * 7919 % 1_000_003)})
	}
}
