package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendBuffered returns how many bytes a socket holds that the peer has not received
// (tcp(7), SIOCOUTQ), or -1 if it is closed.
func sendBuffered(raw syscall.RawConn) int {
	n := -1
	_ = raw.Control(func(fd uintptr) { n = sendBufferedOf(int(fd)) }) // fails if it is closed
	return n
}

func sendBufferedOf(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return -1
	}
	return n
}

// sendBufferMemory returns the size of a socket's send buffer and how much of it is
// used, both as memory of the kernel (sock_diag(7), INET_DIAG_SKMEMINFO), or -1 and 0
// if that is not known. Package unix has no call for it; see sendRoom for what it is
// needed.
func sendBufferMemory(fd int) (size, queued int) {
	var info [unix.SK_MEMINFO_VARS]uint32
	length := uint32(unsafe.Sizeof(info))
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&length)), 0) //nolint:gosec // the kernel is done with both when it returns
	if errno != 0 {
		return -1, 0
	}
	return int(info[unix.SK_MEMINFO_SNDBUF]), int(info[unix.SK_MEMINFO_WMEM_QUEUED])
}
