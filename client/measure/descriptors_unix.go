//go:build unix

package measure

import (
	"math"
	"syscall"
)

// descriptorLimit is how many files this process may have open. Go has raised it as far
// as it may when the process began.
func descriptorLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxUint64 // then connecting tells
	}
	return uint64(limit.Cur) //nolint:unconvert // FreeBSD's is signed
}
