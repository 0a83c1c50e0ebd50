//go:build unix

package socket

import (
	"io"
	"net"
	"syscall"
)

// tcp is the link over a plain TCP connection: it waits without a buffer and
// writes without waiting. What a system call is given and gives back lies here,
// and the two methods that make them are bound once, so that no call allocates.
type tcp struct {
	conn          *net.TCPConn
	raw           syscall.RawConn
	receive, send func(fd uintptr) bool

	// Owned by who reads.
	in      *buffer
	readErr error

	// Owned by who writes.
	out      []byte
	patient  bool // wait until some of it is taken
	sent     int
	writeErr error
}

// tcpRead is how much one read takes.
const tcpRead = 32 << 10

func newLink(conn net.Conn) link {
	if c, ok := conn.(*net.TCPConn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			t := &tcp{conn: c, raw: raw}
			t.receive, t.send = t.receiveFrom, t.sendTo
			return t
		}
	}
	return &stream{conn: conn}
}

func (t *tcp) read() (*buffer, error) {
	if err := t.raw.Read(t.receive); err != nil {
		return nil, err
	}
	b := t.in
	t.in = nil
	return b, t.readErr
}

// receiveFrom reads once and tells whether something came of it.
func (t *tcp) receiveFrom(fd uintptr) bool {
	b := getBuffer(tcpRead)
	n, err := retry(syscall.Read, fd, b.b[:cap(b.b)])
	if n > 0 {
		b.b = b.b[:n]
		t.in, t.readErr = b, nil
		return true
	}
	putBuffer(b)
	if err == nil {
		err = io.EOF
	}
	t.readErr = err
	return err != syscall.EAGAIN
}

func (t *tcp) tryWrite(p []byte) (int, error) { return t.some(p, false) }

// write calls progress outside of raw.Write: closing waits for the latter, and
// may be done by who makes progress wait.
func (t *tcp) write(p []byte, progress func(n int)) error {
	for len(p) > 0 {
		n, err := t.some(p, true)
		if err != nil {
			return err
		}
		progress(n)
		p = p[n:]
	}
	return nil
}

// some writes what the socket takes of p.
func (t *tcp) some(p []byte, patient bool) (int, error) {
	t.out, t.patient, t.sent, t.writeErr = p, patient, 0, nil
	err := t.raw.Write(t.send)
	t.out = nil
	if err == nil {
		err = t.writeErr
	}
	return t.sent, err
}

// sendTo writes once and tells whether that was enough; a full socket is no
// error.
func (t *tcp) sendTo(fd uintptr) bool {
	n, err := retry(syscall.Write, fd, t.out)
	if err == syscall.EAGAIN {
		return !t.patient
	}
	t.sent, t.writeErr = max(n, 0), err
	return true
}

// retry calls a system call again while signals interrupt it.
func retry(call func(fd int, p []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func (t *tcp) unsent() int { return unsent(t.raw) }

func (t *tcp) closeWrite() { _ = t.conn.CloseWrite() } // the connection ends either way

func (t *tcp) abort() { t.close() }

func (t *tcp) close() { _ = t.conn.Close() } // nothing is left to be done about it

func (t *tcp) wait() {}
