package bolt

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What will not be done in time is given up after a fifth of it, and not for a slow
// beginning.
func TestPace(t *testing.T) {
	for name, test := range map[string]struct {
		each  int64         // of 1000 is done in a step
		first time.Duration // of the steps; the others take a second
		want  error
		ends  time.Duration
	}{
		"in time":          {112, time.Second, nil, 9 * time.Second},
		"too slow":         {99, time.Second, errSlow, 2 * time.Second},
		"stuck":            {112, 20 * time.Second, context.DeadlineExceeded, 20 * time.Second},
		"a slow beginning": {150, 1900 * time.Millisecond, nil, 7900 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				begun := time.Now()
				p := newPace(ctx, 1000)
				time.Sleep(test.first)
				done := test.each
				err := p.reached(done)
				for err == nil && done < 1000 {
					time.Sleep(time.Second)
					done += test.each
					err = p.reached(done)
				}
				if spent := time.Since(begun); !errors.Is(err, test.want) || spent != test.ends {
					t.Errorf("%v after %v", err, spent)
				}
			})
		})
	}
}
