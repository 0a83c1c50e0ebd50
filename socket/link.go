package socket

import (
	"errors"
	"io"
	"net"
)

// A link is the byte stream below a connection that a [goroutineDriver] serves.
// One goroutine at a time calls read, and one at a time tryWrite or write; the
// methods that end the connection may be called at any time. Only read, write and
// wait may block.
type link interface {
	// read waits until bytes have arrived and returns them in a buffer, which the
	// caller puts back. Where it can, a link holds no buffer while it waits.
	read() (*buffer, error)
	// received notes that bytes that read has returned are about to be handed over.
	// Conn.mu is held.
	received()
	// tryWrite writes what the socket takes of p at once, which may be nothing. Conn.mu
	// is held.
	tryWrite(p []byte) (int, error)
	// write waits until the socket has taken some of p.
	write(p []byte) (int, error)
	// sendBuffered returns how many bytes the kernel holds that the client has
	// not received, or -1 if that is not known.
	sendBuffered() int
	// hasRoom reports whether a write would not wait now, as far as that is known.
	hasRoom() bool
	// closeWrite ends the server's direction; what was written still arrives.
	closeWrite()
	// close ends the connection; what was written still arrives.
	close()
	// abort ends the connection at once.
	abort()
	// wait returns when close or abort, whichever was called, has done its work.
	wait()
}

// isGone reports whether err says no more than that the connection has ended.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}
