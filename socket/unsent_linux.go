package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent asks the kernel how much of a socket's send buffer is taken (tcp(7),
// SIOCOUTQ).
func unsent(raw syscall.RawConn) int {
	n := -1
	_ = raw.Control(func(fd uintptr) { n = unsentOf(int(fd)) }) // if it is closed, -1 it is
	return n
}

func unsentOf(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return -1
	}
	return n
}
