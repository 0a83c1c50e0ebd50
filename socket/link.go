package socket

import (
	"errors"
	"io"
	"net"
	"sync"
)

// link is the byte stream below a Conn. read is called by one goroutine at a
// time, and so are tryWrite and write; those that end the connection by anybody.
// Only read, write and wait may take time.
type link interface {
	// read waits until something has arrived and returns it in a buffer that
	// the caller puts back. It holds none while it waits, where it can.
	read() (*buffer, error)
	// tryWrite writes what the socket takes at once, perhaps nothing.
	tryWrite(p []byte) (int, error)
	// write writes all of p, waiting as long as it takes, and calls progress
	// whenever some of it was taken.
	write(p []byte, progress func(n int)) error
	// unsent is how many bytes the socket holds that the client has not
	// received, or -1 if that cannot be known.
	unsent() int
	// closeWrite ends our direction, so that what was written arrives.
	closeWrite()
	// close ends the connection after what was written; abort at once.
	close()
	abort()
	// wait returns when ending the connection, which abort has hastened, is over.
	wait()
}

// stream is the link over any net.Conn, such as TLS. It cannot write without
// waiting and holds a small buffer while it reads.
type stream struct {
	conn    net.Conn
	closing sync.Once
	ends    sync.WaitGroup // goroutines that end the connection: in TLS this is a write
}

const (
	streamRead  = 4 << 10
	streamWrite = 16 << 10 // a TLS record
)

func (s *stream) read() (*buffer, error) {
	b := getBuffer(streamRead)
	n, err := s.conn.Read(b.b[:cap(b.b)])
	if n > 0 {
		b.b = b.b[:n]
		return b, nil
	}
	putBuffer(b)
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}

func (*stream) tryWrite([]byte) (int, error) { return 0, nil }

func (s *stream) write(p []byte, progress func(n int)) error {
	for len(p) > 0 {
		n, err := s.conn.Write(p[:min(len(p), streamWrite)])
		progress(n)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (*stream) unsent() int { return -1 }

func (s *stream) closeWrite() {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		s.ends.Go(func() { _ = c.CloseWrite() }) // the connection ends either way
	}
}

func (s *stream) close() {
	s.closing.Do(func() {
		s.ends.Go(func() { _ = s.conn.Close() }) // nothing is left to be done about it
	})
}

// abort closes what is below TLS, if it is TLS, which has no last word then.
func (s *stream) abort() {
	if c, ok := s.conn.(interface{ NetConn() net.Conn }); ok {
		_ = c.NetConn().Close() // nothing is left to be done about it
	}
	s.close()
}

func (s *stream) wait() { s.ends.Wait() }

// isGone tells whether err only says that the connection has ended.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}
