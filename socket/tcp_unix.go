//go:build unix

package socket

import (
	"io"
	"net"
	"syscall"
)

// tcp is the link over a plain TCP connection. It waits without a buffer, and it
// can write without waiting. Arguments and results of its system calls are fields,
// and the two methods that make the calls are bound once, so that no call
// allocates.
type tcp struct {
	conn          *net.TCPConn
	raw           syscall.RawConn
	receive, send func(fd uintptr) bool

	// Owned by the goroutine that reads.
	in      *buffer
	readErr error

	// Owned by the goroutine that writes.
	out      []byte
	patient  bool // wait until the socket takes some of out
	sent     int
	writeErr error
}

// tcpRead is the most bytes that one read takes.
const tcpRead = 32 << 10

func newLink(conn net.Conn) link {
	if c, ok := conn.(*net.TCPConn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			l := &tcp{conn: c, raw: raw}
			l.receive, l.send = l.receiveFrom, l.sendTo
			return l
		}
	}
	return &netConn{conn: conn}
}

func (l *tcp) read() (*buffer, error) {
	if err := l.raw.Read(l.receive); err != nil {
		return nil, err
	}
	b := l.in
	l.in = nil
	return b, l.readErr
}

// receiveFrom reads once and reports whether there was something to read.
func (l *tcp) receiveFrom(fd uintptr) bool {
	b := getBuffer(tcpRead)
	n, err := retry(syscall.Read, fd, b.b[:cap(b.b)])
	if n > 0 {
		b.b = b.b[:n]
		l.in, l.readErr = b, nil
		return true
	}
	putBuffer(b)
	if err == nil {
		err = io.EOF
	}
	l.readErr = err
	return err != syscall.EAGAIN
}

func (l *tcp) tryWrite(p []byte) (int, error) { return l.writeSome(p, false) }

func (l *tcp) write(p []byte) (int, error) { return l.writeSome(p, true) }

// writeSome writes what the socket takes of p. If patient, it waits until that is
// at least one byte.
func (l *tcp) writeSome(p []byte, patient bool) (int, error) {
	l.out, l.patient, l.sent, l.writeErr = p, patient, 0, nil
	err := l.raw.Write(l.send)
	l.out = nil
	if err == nil {
		err = l.writeErr
	}
	return l.sent, err
}

// sendTo writes once and reports whether that was enough. A full socket is no
// error.
func (l *tcp) sendTo(fd uintptr) bool {
	n, err := retry(syscall.Write, fd, l.out)
	if err == syscall.EAGAIN {
		return !l.patient
	}
	l.sent, l.writeErr = max(n, 0), err
	return true
}

// retry repeats a system call while signals interrupt it.
func retry(call func(fd int, p []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func (*tcp) received() {}

func (l *tcp) sendBuffered() int { return sendBuffered(l.raw) }

func (*tcp) hasRoom() bool { return false }

func (l *tcp) closeWrite() { _ = l.conn.CloseWrite() } // the connection ends either way

func (l *tcp) abort() { l.close() }

func (l *tcp) close() { _ = l.conn.Close() } // an error changes nothing: the connection is over

func (l *tcp) wait() {}
