package measure

import (
	"syscall"
	"time"
)

// sleep is time.Sleep, but precise to some ten microseconds: Go's timers wait in whole
// milliseconds. It may return early.
func sleep(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil) // a signal ends it early
}
