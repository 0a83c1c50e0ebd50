package load

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// conn is one client: a non-blocking socket in the generator's epoll set.
type conn struct {
	fd  int
	id  int
	tls *tls.Conn // nil without TLS

	in  []byte // part of a frame
	out []byte // what the socket did not take

	// Of the work that runs.
	expect []byte    // echo: what must come back
	send   []byte    // the frame that is sent
	sentAt time.Time // echo: when
	acks   int       // echo: answers to come
	joined bool      // broadcast: it got one
	next   uint64    // broadcast: number of the next message
	adder  *adder    // sum
	sensor *sensor   // meter: one of these two
	screen *screen
	writer *writer // history
}

func (c *conn) read(b []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Read(b)
	}
	return readFD(c.fd, b)
}

// readFD reads once. Where there is nothing it returns a timeout, which
// crypto/tls takes for what it is: not the end.
func readFD(fd int, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // as package syscall does
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return 0, os.ErrDeadlineExceeded
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// writeFD writes what the socket takes.
func writeFD(fd int, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // as package syscall does
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, errno
		}
	}
}

// socket is the net.Conn under a *tls.Conn: first the dialled one, which waits,
// and once it has a descriptor that one, which does not.
type socket struct {
	net.Conn
	fd int
}

func (s *socket) Read(b []byte) (int, error) {
	if s.fd < 0 {
		return s.Conn.Read(b)
	}
	return readFD(s.fd, b)
}

func (s *socket) Write(b []byte) (int, error) {
	if s.fd < 0 {
		return s.Conn.Write(b)
	}
	// One small message is in flight over TLS: it always fits.
	n, err := writeFD(s.fd, b)
	if err == nil && n < len(b) {
		err = errors.New("socket is full")
	}
	return n, err
}
