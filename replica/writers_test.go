package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTheLastWritersAreKept(t *testing.T) {
	var w writers
	for i := range 100 {
		w = w.with(writer{uint64(i), 1})
	}
	if len(w) != maxWriters || w[0] != (writer{36, 1}) || w[maxWriters-1] != (writer{99, 1}) {
		t.Errorf("%d writers, %v to %v", len(w), w[0], w[len(w)-1])
	}
	w = w.with(writer{50, 2})
	if len(w) != maxWriters || w[0] != (writer{36, 1}) || w[maxWriters-1] != (writer{50, 2}) || w.index(50) != maxWriters-1 || w.index(35) != -1 {
		t.Errorf("%v", w)
	}
}

// What is stored is what with returns.
func TestWritersComeBack(t *testing.T) {
	var w writers
	for i := range 100 {
		now := writer{uint64(i * i % 90), uint64(i) << 40}
		p := append(w.appendTo([]byte("before"), now), "rest"...)
		got, rest, ok := parseWriters(p[len("before"):])
		w = w.with(now)
		if !ok || string(rest) != "rest" || !slices.Equal(got, w) {
			t.Fatalf("%v came back as %v, %q", w, got, rest)
		}
	}
	if p := append([]byte{maxWriters + 1}, make([]byte, 9*(maxWriters+1))...); true {
		if _, _, ok := parseWriters(p); ok {
			t.Error("too many are read")
		}
	}
}

// Processes have numbers of their own, and so have their batches.
func TestProcess(t *testing.T) {
	var a, b process
	first, second, other := a.next(), a.next(), b.next()
	if first.process != second.process || first.process == other.process || first.batch != 1 || second.batch != 2 {
		t.Errorf("%v, %v; %v", first, second, other)
	}
}

// Whether a message is stored cannot be found out once so many other processes have stored
// something that its own is not among the writers any more: then it is not stored again. That
// those were added to what is known does not make it look as if they had been there before.
func TestManyWritersMeanwhile(t *testing.T) {
	c := newChat(t, Journal{Messages: 1000})
	for range maxWriters {
		c.other().says(do("before"), fmt.Sprint(c.Snapshot().Version+1))
		if _, err := c.Reread(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.heard = nil
	c.engine.appends = []func(func() error) error{func(store func() error) error {
		err := store()
		for i := range maxWriters {
			c.other().says(do("behind"), fmt.Sprint(maxWriters+2+i))
		}
		return errors.Join(err, errTimeout)
	}}
	c.says(do("mine"), "!outcome unknown")
	n := 0
	for _, kept := range c.kept() {
		if strings.HasSuffix(kept, " mine") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("it is stored %d times", n)
	}
}
