package room

import (
	"math"
	"testing"
	"time"
)

// waited tells for how long publishers wait for a member if they always might, and
// its client, which has taken some bytes, takes so many more in each step.
func waited(taken int64, whole, step time.Duration, bytes func(i int) int64) (waits time.Duration) {
	var a patience
	var now time.Time
	for i := range int(whole / step) {
		if !a.waited {
			a.begin(0, now)
		}
		if a.look(taken, math.MaxInt64, now); a.exhausted() {
			a.end(now)
		}
		next := now.Add(step)
		if a.waited {
			waits += min(step, a.until().Sub(now))
		}
		now, taken = next, taken+bytes(i)
	}
	return waits
}

func steadily(bytes int64) func(int) int64 { return func(int) int64 { return bytes } }

// How long publishers wait for a member, in numbers.
func TestPatienceIsEarned(t *testing.T) {
	const step = 10 * time.Millisecond
	inSteps := func(rate int64) int64 { return rate * int64(step) / int64(time.Second) }
	for name, test := range map[string]struct {
		taken       int64 // before
		bytes       func(int) int64
		least, most time.Duration // of 100 s
	}{
		"a reader":                  {unread, steadily(inSteps(readerPace) + 1), 100 * time.Second, 100 * time.Second},
		"a reader, who knows since": {-1 << 20, steadily(inSteps(readerPace) + 1), 100 * time.Second, 100 * time.Second},
		"a reader in gulps":         {unread, func(i int) int64 { return min(int64(i%40/39), 1) * readerPace }, 99 * time.Second, 100 * time.Second},
		"dead":                      {0, steadily(0), firstPatience, firstPatience},
		"dead, the kernel is not":   {0, func(i int) int64 { return unread / 10 * max(int64(10-i), 0) / 10 }, firstPatience, firstPatience},
		"a reader that stops":       {1 << 30, steadily(0), mostPatience, mostPatience},
		"a trickle":                 {unread, steadily(inSteps(readerPace) / 100), 900 * time.Millisecond, time.Second + firstPatience},
		"half the pace":             {unread, steadily(inSteps(readerPace) / 2), 49 * time.Second, 50*time.Second + firstPatience},
		"what shrinks":              {0, steadily(-1000), firstPatience, firstPatience},
	} {
		t.Run(name, func(t *testing.T) {
			if got := waited(test.taken, 100*time.Second, step, test.bytes); got < test.least || got > test.most {
				t.Errorf("was waited for %v, want %v to %v", got, test.least, test.most)
			}
		})
	}
}

// A member pays for what it is to blame for: not for a server that does not write, or has no
// processor.
func TestPatienceIsPaidForTheClientOnly(t *testing.T) {
	for name, test := range map[string]struct {
		wait, blocked, left time.Duration
	}{
		"the client takes nothing":         {firstPatience, math.MaxInt64, 0},
		"the server does not write":        {firstPatience, 0, firstPatience},
		"the server has written late":      {firstPatience, firstPatience / 3, firstPatience - firstPatience/3},
		"the server looks late":            {2 * firstPatience, math.MaxInt64, firstPatience / 2},
		"the server looks and writes late": {2 * firstPatience, firstPatience / 3, firstPatience - firstPatience/3},
	} {
		t.Run(name, func(t *testing.T) {
			var a patience
			var now time.Time
			a.begin(0, now)
			a.look(0, 0, now)
			a.look(0, test.blocked, now.Add(test.wait))
			if a.left != test.left {
				t.Errorf("%v is left, want %v", a.left, test.left)
			}
		})
	}
}

// What has been waited for a member that has caught up is paid when it is behind again, if it
// is to blame then.
func TestPatienceIsPaidLater(t *testing.T) {
	for blocked, left := range map[time.Duration]time.Duration{0: firstPatience, math.MaxInt64: firstPatience / 2} {
		var a patience
		var now time.Time
		a.begin(0, now)
		a.look(0, 0, now)
		a.end(now.Add(firstPatience / 2))
		now = now.Add(time.Hour)
		a.begin(0, now)
		if a.look(0, blocked, now); a.left != left {
			t.Errorf("blocked for %v: %v is left, want %v", blocked, a.left, left)
		}
	}
}
