//go:build unix && !linux

package socket

import "syscall"

// unsent is not known here.
func unsent(syscall.RawConn) int { return -1 }
