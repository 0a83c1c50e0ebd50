package connect

import (
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// size is the value of a flag: bytes, with a unit or without.
type size int64

const maxSize = 1 << 30

func (s *size) String() string { return humanize.IBytes(uint64(*s)) }

// Type is what --help calls the value.
func (*size) Type() string { return "size" }

// Set reads the value.
func (s *size) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n < 1 || n > maxSize {
		return errors.New("expected a size from 1B to 1GiB")
	}
	*s = size(n)
	return nil
}

// wait is the value of a flag: a duration, or forever.
type wait time.Duration

const forever wait = -1

func (w *wait) String() string {
	if *w == forever {
		return "forever"
	}
	return time.Duration(*w).String()
}

// Type is what --help calls the value.
func (*wait) Type() string { return "duration" }

// Set reads the value.
func (w *wait) Set(text string) error {
	if text == "forever" {
		*w = forever
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > 24*time.Hour {
		return errors.New(`expected a duration such as 500ms, up to 24h, or "forever"`)
	}
	*w = wait(d)
	return nil
}

// checkPing holds --ping to its bounds. 0 is off.
func checkPing(every time.Duration) error {
	if every != 0 && (every < 10*time.Millisecond || every > 24*time.Hour) {
		return fmt.Errorf("--ping %s: expected 10ms to 24h, or 0 for none", every)
	}
	return nil
}
