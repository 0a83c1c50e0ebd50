package blackbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// waits is what a reader has waited for since it last had all that was published.
type waits struct {
	since time.Time
	read  int // messages
	what  string
	begun time.Time
	all   map[string]*wait
}

// wait is the waits of one kind.
type wait struct {
	times        int
	all, longest time.Duration
}

func newWaits() waits {
	return waits{since: time.Now(), what: "its begin", begun: time.Now(), all: make(map[string]*wait)}
}

// begin notes that the reader waits for something from now on, and not any more for what was before.
func (w *waits) begin(what string) {
	now := time.Now()
	took := now.Sub(w.begun)
	one := w.all[w.what]
	if one == nil {
		one = new(wait)
		w.all[w.what] = one
	}
	one.times++
	one.all += took
	one.longest = max(one.longest, took)
	w.what, w.begun = what, now
}

// accept notes a message, which may be the newest.
func (w *waits) accept(newest bool) {
	w.begin(w.what)
	if w.read++; newest {
		w.since, w.read = time.Now(), 0
		clear(w.all)
	}
}

// String tells them all.
func (w *waits) String() string {
	w.begin(w.what)
	var each []string
	for what, one := range w.all {
		each = append(each, fmt.Sprintf("\n\t%d times for %s: %v, at most %v", one.times, what, one.all.Round(time.Millisecond), one.longest.Round(time.Millisecond)))
	}
	slices.Sort(each)
	return fmt.Sprintf("in %v it has read %d messages, and waited%s", time.Since(w.since).Round(time.Millisecond), w.read, strings.Join(each, ""))
}
