package socket

import (
	"io"
	"net"
	"time"
)

// httpStream is the link over a stream of HTTP/2 or HTTP/3. The client's bytes are
// the body of the request, the server's that of the response.
type httpStream struct {
	*response
	body io.ReadCloser
}

func (l *httpStream) read() (*buffer, error) {
	b := getBuffer(streamRead)
	n, err := l.body.Read(b.b[:cap(b.b)])
	if n > 0 {
		b.b = b.b[:n]
		return b, nil
	}
	putBuffer(b)
	select {
	case <-l.end:
		return nil, net.ErrClosed
	default:
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}

// close ends reading. The stream ends in good order when the HTTP handler returns;
// what is still to be written has until then the time that a client has for its
// half of the closing handshake.
func (l *httpStream) close() {
	_ = l.below.SetWriteDeadline(time.Now().Add(closeTimeout))
	l.endReading()
}

func (l *httpStream) endReading() {
	l.response.close()
	if l.control.SetReadDeadline(time.Now()) != nil {
		_ = l.body.Close() // over HTTP/3 this would tell the client that its request was cancelled
	}
}

func (l *httpStream) abort() {
	l.response.abort()
	l.endReading()
}
