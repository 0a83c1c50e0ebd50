package socket

import (
	"io"
	"net"
	"time"
)

// httpStream is the link over a stream of HTTP/2 or HTTP/3: what comes is the
// request's body, what goes the response's.
type httpStream struct {
	*response
	body io.ReadCloser
}

// isStream reports whether l is a stream of HTTP/2 or 3. Our direction of one
// cannot be ended alone, as that of TCP can. But the whole can be while the client
// still sends, without what it has not read being lost.
func isStream(l link) bool {
	_, ok := l.(*httpStream)
	return ok
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

// close ends reading; the stream ends in good order when the handler returns, for
// which it has as long as a client has for its half of the close handshake.
func (l *httpStream) close() {
	_ = l.below.SetWriteDeadline(time.Now().Add(closeTimeout))
	l.endReading()
}

func (l *httpStream) endReading() {
	l.response.close()
	if l.control.SetReadDeadline(time.Now()) != nil {
		_ = l.body.Close() // which over HTTP/3 would tell the client that the request was cancelled
	}
}

func (l *httpStream) abort() {
	l.response.abort()
	l.endReading()
}
