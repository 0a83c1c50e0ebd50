//go:build !linux

package measure

import "time"

// sleep may come late by what Go's timers do.
func sleep(d time.Duration) { time.Sleep(d) }
