package socket

import "time"

// A driver moves the bytes of a connection. There are two: a [goroutineDriver]
// waits in reads and writes, a loopDriver is told by epoll when it may read or
// write. A [Conn] does not know which it has, and never waits.
//
// A driver reads, and hands over what has arrived with the methods of a [reader].
// It writes what the Conn has not been able to write at once, and reports that with
// [Conn.wrote]. After the end of the connection it calls Handler.Closed.
//
// The methods are called with Conn.mu held and must not block.
type driver interface {
	// received notes that the client's bytes are about to be handed over.
	received()
	// tryWrite writes what the socket takes of p at once, which may be nothing.
	// It is not called while something is left of an earlier write.
	tryWrite(p []byte) (int, error)
	// flush sees to it that Conn.unwritten, and then what Conn.wrote returns, is
	// written as the socket takes it. It may be called again meanwhile; the socket
	// is then tried at once, if it can be without waiting.
	flush()
	// resume reads on with what reader.consume has left, and then from the client.
	resume()
	// sendBuffered returns how many bytes the kernel holds that the client has
	// not received, or -1 if that is not known.
	sendBuffered() int
	// blocked returns for how long the rest has waited for the client by now, and 0
	// if it waits for the server only.
	blocked() time.Duration
	// closeWrite ends the server's direction; what was written still arrives.
	closeWrite()
	// close ends the connection; what was written still arrives.
	close()
	// abort ends the connection at once.
	abort()
}
