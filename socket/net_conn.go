package socket

import (
	"io"
	"net"
	"sync"
)

// netConn is the link over any net.Conn, such as one of TLS. It cannot write
// without waiting, and it holds a small buffer while it reads.
type netConn struct {
	conn    net.Conn
	closing sync.Once
	ends    sync.WaitGroup // goroutines that end the connection, which over TLS takes a write
}

const (
	streamRead  = 4 << 10
	streamWrite = 16 << 10 // a TLS record
)

func (l *netConn) read() (*buffer, error) {
	b := getBuffer(streamRead)
	n, err := l.conn.Read(b.b[:cap(b.b)])
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

func (*netConn) received() {}

func (*netConn) tryWrite([]byte) (int, error) { return 0, nil }

func (l *netConn) write(p []byte) (int, error) {
	return l.conn.Write(p[:min(len(p), streamWrite)])
}

func (*netConn) sendBuffered() int { return -1 }

func (*netConn) hasRoom() bool { return false }

func (l *netConn) closeWrite() {
	if c, ok := l.conn.(interface{ CloseWrite() error }); ok {
		l.ends.Go(func() { _ = c.CloseWrite() }) // the connection ends either way
	}
}

func (l *netConn) close() {
	l.closing.Do(func() {
		l.ends.Go(func() { _ = l.conn.Close() }) // an error changes nothing: the connection is over
	})
}

// abort closes the connection below TLS, if there is one: TLS would write a last
// record first, and might wait for that.
func (l *netConn) abort() {
	if c, ok := l.conn.(interface{ NetConn() net.Conn }); ok {
		_ = c.NetConn().Close() // an error changes nothing: the connection is over
	}
	l.close()
}

func (l *netConn) wait() { l.ends.Wait() }
