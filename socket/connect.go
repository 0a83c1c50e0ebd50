package socket

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// IsConnect tells whether r opens a WebSocket on a stream of HTTP/2 (RFC 8441)
// or HTTP/3 (RFC 9220), by an extended CONNECT.
func IsConnect(r *http.Request) bool {
	if r.Method != http.MethodConnect {
		return false
	}
	switch r.ProtoMajor {
	case 2:
		return r.Header.Get(":protocol") == "websocket"
	case 3:
		return r.Proto == "websocket"
	}
	return false
}

// connectRequest is an extended CONNECT as the handshake of HTTP/1.1 that means
// the same: the stream needs neither the headers that ask for an upgrade nor a
// key (RFC 8441 section 5).
func connectRequest(r *http.Request) *http.Request {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	header := r.Header.Clone()
	header.Del(":protocol")
	header.Set("Connection", "Upgrade")
	header.Set("Upgrade", "websocket")
	header.Set("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(key))
	return &http.Request{
		Method: http.MethodGet, URL: r.URL, Host: r.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header,
	}
}

// upgradeStream is Upgrade for an extended CONNECT: the answer is 200, and from
// then on the stream carries frames. The caller must Serve before the handler
// returns.
func upgradeStream(w http.ResponseWriter, r *http.Request, o Offer) (*Upgraded, error) {
	agreed := o.agree(r)
	agreed.put(w.Header(), "")
	w.WriteHeader(http.StatusOK)
	l := &stream2{response: newResponse(w, r), body: r.Body}
	if err := l.control.Flush(); err != nil {
		return nil, errors.Join(errors.New("sending the handshake"), err)
	}
	return &Upgraded{stream: l, Subprotocol: agreed.subprotocol, deflate: agreed.deflate}, nil
}

// deleteConnectionFields deletes what speaks of the connection, and makes an answer on
// a stream malformed (RFC 9113, section 8.2.2; RFC 9114, section 4.2).
func deleteConnectionFields(h http.Header) {
	for _, name := range []string{"Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"} {
		h.Del(name)
	}
}

// stream2 is the link over a stream of HTTP/2 or HTTP/3: what comes is the
// request's body, what goes the response's.
type stream2 struct {
	*response
	body io.ReadCloser
}

// isStream reports whether l is a stream of HTTP/2 or 3. Our direction of one
// cannot be ended alone, as that of TCP can. But the whole can be while the client
// still sends, without what it has not read being lost.
func isStream(l link) bool {
	_, ok := l.(*stream2)
	return ok
}

func (l *stream2) read() (*buffer, error) {
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
func (l *stream2) close() {
	_ = l.below.SetWriteDeadline(time.Now().Add(closeTimeout))
	l.endReading()
}

func (l *stream2) endReading() {
	l.response.close()
	if l.control.SetReadDeadline(time.Now()) != nil {
		_ = l.body.Close() // which over HTTP/3 would tell the client that the request was cancelled
	}
}

func (l *stream2) abort() {
	l.response.abort()
	l.endReading()
}
