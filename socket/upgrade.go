package socket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"time"

	"github.com/gorilla/websocket"
)

// Offer is what a route is willing to speak.
type Offer struct {
	// Subprotocols that the route knows. Their order means nothing: the
	// client's order of preference decides (RFC 6455, section 4.1).
	Subprotocols []string

	// Compression permits permessage-deflate (RFC 7692). It is used if the
	// client offers it.
	Compression bool

	// Takeover permits context takeover with it, in both directions (RFC 7692,
	// section 7.1.1), unless the client offers to do without.
	Takeover bool
}

// Upgraded is an HTTP/1.1 connection after its 101, or a stream of HTTP/2 or
// HTTP/3 after its 200. Neither the request nor
// its ResponseWriter is referenced by it, as long as Conn, which was made by
// whoever wrapped the ResponseWriter, doesn't do so.
type Upgraded struct {
	// Conn is the hijacked connection, without deadlines. The caller owns it
	// and closes it.
	Conn net.Conn

	// Buffered is what the client sent behind its request and the HTTP server
	// has already read: it comes before anything that Conn reads. It is a copy,
	// and usually nil.
	Buffered []byte

	// Subprotocol is the agreed one of Offer.Subprotocols, or empty.
	Subprotocol string

	deflate deflateParams
	stream  link // instead of Conn: a stream of HTTP/2 or HTTP/3
}

// IsStream tells that the connection is a stream of HTTP/2 or HTTP/3, which lives
// no longer than its handler: Conn is nil, and it must be served by Serve.
func (u *Upgraded) IsStream() bool { return u.stream != nil }

// IsUpgrade tells whether r asks for a WebSocket over HTTP/1: whether its
// Upgrade header contains the token websocket (RFC 6455, section 4.2.1). A
// request that says so but is wrong otherwise counts too, so that it is refused
// with the reason instead of being served as something it wasn't meant to be.
// Over HTTP/2 and 3 there is no Upgrade header (RFC 9113, section 8.2.2).
func IsUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && handshakeHasToken(r.Header, "Upgrade", "websocket")
}

// Upgrade answers r with 101 and takes over its connection. The 101 goes through
// w, so that the headers of other handlers are in it and access log and metrics
// see it. The Origin is not judged here.
//
// Before anything was written the error is a *HandshakeError, and the caller
// answers with its status. Any later error is another type, and the
// connection is closed. After that, or without an error, neither w nor r must
// be used any more.
func Upgrade(w http.ResponseWriter, r *http.Request, o Offer) (*Upgraded, error) {
	if err := CheckHandshake(r); err != nil {
		return nil, err
	}
	if IsConnect(r) {
		return upgradeStream(w, r, o)
	}
	if !handshakeCanHijack(w) {
		return nil, handshakeRefusal(http.StatusNotImplemented, "%T can't hand over its connection", w)
	}
	subprotocol := Subprotocol(r, o.Subprotocols)
	deflate := negotiateDeflate(r.Header, o)
	answer, err := handshakeAnswer(r, subprotocol, deflate)
	if err != nil {
		return nil, err
	}
	handshakeWrite(w, answer)
	conn, buffered, err := handshakeTakeOver(w)
	if err != nil {
		return nil, err
	}
	return &Upgraded{
		Conn:        conn,
		Buffered:    buffered,
		Subprotocol: subprotocol,
		deflate:     deflate,
	}, nil
}

// handshakeAnswer has gorilla write the 101 and returns its headers. gorilla
// gets an unambiguous copy of what CheckHandshake has already judged, because it
// skips lists with empty elements or versioned protocols (RFC 9110, sections
// 5.6.1 and 7.8).
func handshakeAnswer(r *http.Request, subprotocol string, deflate deflateParams) (http.Header, error) {
	upgrader := websocket.Upgrader{
		ReadBufferSize: 1, WriteBufferSize: 1, // its connection is thrown away
		CheckOrigin: func(*http.Request) bool { return true },
		Error:       func(http.ResponseWriter, *http.Request, int, error) {}, // the caller answers
	}
	request := &http.Request{Method: r.Method, Header: http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     r.Header["Sec-Websocket-Key"],
	}}
	var conn captureConn
	header := http.Header{"Sec-Websocket-Protocol": {subprotocol}}
	if _, err := upgrader.Upgrade(handshakeWriter{conn: &conn}, request, header); err != nil {
		return nil, handshakeRefusal(http.StatusBadRequest, "%w", err)
	}
	answer, err := conn.header()
	if err == nil && deflate.agreed {
		answer.Set("Sec-Websocket-Extensions", deflate.header())
	}
	return answer, err
}

// handshakeHeaders are the headers of a 101, spelled as RFC 6455 does: there are
// small clients that compare them byte by byte. What other handlers put there
// is replaced.
var handshakeHeaders = []string{
	"Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
}

// handshakeWrite writes the 101 through w. net/http leaves out Content-Length
// and Transfer-Encoding by itself (RFC 9110, sections 8.6 and 6.1), keeps our
// Connection header, and sends nothing before Hijack.
func handshakeWrite(w http.ResponseWriter, answer http.Header) {
	header := w.Header()
	for _, name := range handshakeHeaders {
		header.Del(name)
		delete(header, name)
		if value := answer.Get(name); value != "" {
			header[name] = []string{value}
		}
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
}

// handshakeTakeOver hijacks the connection of w after its 101 was written and
// returns it with the bytes that came behind the request.
func handshakeTakeOver(w http.ResponseWriter) (net.Conn, []byte, error) {
	conn, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		handshakeAbandon(w, err)
		return nil, nil, fmt.Errorf("taking over the connection: %w", err)
	}
	if err := errors.Join(brw.Writer.Flush(), conn.SetDeadline(time.Time{})); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("sending the handshake: %w", err)
	}
	early, _ := brw.Reader.Peek(brw.Reader.Buffered())
	if len(early) == 0 {
		return conn, nil, nil
	}
	return conn, bytes.Clone(early), nil
}

// handshakeAbandon has the HTTP server close a connection that could not be
// taken over: its 101 is still in the server's buffer, and a server doesn't go
// on with a connection on which a write failed. If it was hijacked by somebody
// else, it is theirs.
func handshakeAbandon(w http.ResponseWriter, err error) {
	if !errors.Is(err, http.ErrHijacked) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	}
}

// handshakeCanHijack tells, before anything is written, whether Hijack can work.
// It asks the innermost writer: a wrapper may have a Hijack method that only
// passes the call on, as Caddy's response recorder does, even over HTTP/2.
func handshakeCanHijack(w http.ResponseWriter) bool {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			_, ok = w.(http.Hijacker)
			return ok
		}
		w = wrapper.Unwrap()
	}
}

// handshakeWriter is the ResponseWriter given to gorilla, which only hijacks it.
type handshakeWriter struct {
	http.ResponseWriter // nil
	conn                *captureConn
}

// Hijack returns the capturing connection with buffers of the least size.
func (w handshakeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	brw := bufio.NewReadWriter(bufio.NewReaderSize(w.conn, 1), bufio.NewWriterSize(w.conn, 1))
	return w.conn, brw, nil
}

// captureConn keeps what gorilla writes. It has only the methods that gorilla
// calls during its handshake.
type captureConn struct {
	net.Conn // nil
	written  bytes.Buffer
}

func (c *captureConn) Write(p []byte) (int, error) { return c.written.Write(p) }
func (c *captureConn) Close() error                { return nil }
func (c *captureConn) SetDeadline(time.Time) error { return nil }

// header parses the captured response.
func (c *captureConn) header() (http.Header, error) {
	reader := textproto.NewReader(bufio.NewReaderSize(&c.written, 512))
	line, err := reader.ReadLine()
	if err != nil {
		return nil, handshakeRefusal(http.StatusInternalServerError, "reading the status line: %w", err)
	}
	header, err := reader.ReadMIMEHeader()
	if err != nil {
		return nil, handshakeRefusal(http.StatusInternalServerError, "reading the headers after %q: %w", line, err)
	}
	return http.Header(header), nil
}
