package handshake

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 wants it
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
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

// Upgraded is what an answered handshake leads to: an HTTP/1.1 connection after its
// 101, or a stream of HTTP/2 or HTTP/3 after its 200. Neither the request nor its
// ResponseWriter is referenced by it, as long as Conn, which was made by whoever
// wrapped the ResponseWriter, doesn't do so.
type Upgraded struct {
	// Conn is the hijacked connection, without deadlines. The caller owns it
	// and closes it. It is nil for a stream: what comes is then the body of the
	// request, and what goes is the response, as long as the handler runs.
	Conn net.Conn

	// Buffered is what the client sent behind its request and the HTTP server
	// has already read: it comes before anything that Conn reads. It is a copy,
	// and usually nil.
	Buffered []byte

	// Subprotocol is the agreed one of Offer.Subprotocols, or empty.
	Subprotocol string

	// Deflate is what was agreed of permessage-deflate.
	Deflate frames.Deflate
}

// IsUpgrade reports whether r asks for a WebSocket over HTTP/1: whether its
// Upgrade header contains the token websocket (RFC 6455, section 4.2.1). A
// request that says so but is wrong otherwise counts too, so that it is refused
// with the reason instead of being served as something it wasn't meant to be.
// Over HTTP/2 and 3 there is no Upgrade header (RFC 9113, section 8.2.2).
func IsUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && hasToken(r.Header, "Upgrade", "websocket")
}

// Upgrade answers r with 101 and takes over its connection. The 101 goes through
// w, so that the headers of other handlers are in it and access log and metrics
// see it; net/http leaves out Content-Length and Transfer-Encoding by itself (RFC
// 9110, sections 8.6 and 6.1), keeps our Connection header, and sends nothing
// before Hijack. The Origin is not judged here.
//
// Before anything was written the error is an *Error, and the caller answers with
// its status. Any later error is another type, and the
// connection is closed. After that, or without an error, neither w nor r must
// be used any more.
func Upgrade(w http.ResponseWriter, r *http.Request, o Offer) (*Upgraded, error) {
	if err := Check(r); err != nil {
		return nil, err
	}
	if IsConnect(r) {
		return upgradeStream(w, r, o)
	}
	if !canHijack(w) {
		return nil, refuse(http.StatusNotImplemented, "%T can't hand over its connection", w)
	}
	agreed := o.agree(r)
	agreed.put(w.Header(), acceptKey(r.Header["Sec-Websocket-Key"][0]))
	w.WriteHeader(http.StatusSwitchingProtocols) // sent by Hijack or after it
	conn, buffered, err := takeOver(w)
	if err != nil {
		return nil, err
	}
	return &Upgraded{
		Conn:        conn,
		Buffered:    buffered,
		Subprotocol: agreed.subprotocol,
		Deflate:     agreed.deflate,
	}, nil
}

// agreement is what was agreed with a client.
type agreement struct {
	subprotocol string
	deflate     frames.Deflate
}

// agree answers what a client offers.
func (o Offer) agree(r *http.Request) agreement {
	return agreement{Subprotocol(r, o.Subprotocols), negotiateDeflate(r.Header, o)}
}

// answerFields are the header fields of an answer, spelled as RFC 6455 does:
// there are small clients that compare them byte by byte. What other handlers
// put there, in this spelling or in Go's, is not sent.
var answerFields = [...]struct{ name, canonical string }{
	{"Upgrade", "Upgrade"},
	{"Connection", "Connection"},
	{"Sec-WebSocket-Accept", "Sec-Websocket-Accept"},
	{"Sec-WebSocket-Protocol", "Sec-Websocket-Protocol"},
	{"Sec-WebSocket-Extensions", "Sec-Websocket-Extensions"},
}

// put puts the answer into a header. On a stream of HTTP/2 or HTTP/3 there is no
// key to be accepted, and no field that says Upgrade (RFC 8441, section 5).
func (a agreement) put(header http.Header, accept string) {
	values := [len(answerFields)]string{3: a.subprotocol, 4: extensionHeader(a.deflate)}
	if accept != "" {
		values[0], values[1], values[2] = "websocket", "Upgrade", accept
	}
	for i, field := range answerFields {
		delete(header, field.canonical)
		delete(header, field.name)
		if values[i] != "" {
			header[field.name] = values[i : i+1 : i+1]
		}
	}
}

// guid is from RFC 6455, section 1.3.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// acceptKey is the value of Sec-WebSocket-Accept for a key (RFC 6455,
// section 4.2.2, item 5.4).
func acceptKey(key string) string {
	text := append(make([]byte, 0, 24+len(guid)), key...)
	sum := sha1.Sum(append(text, guid...)) //nolint:gosec // the RFC's choice: it only tells that the server knows the protocol
	return base64.StdEncoding.EncodeToString(sum[:])
}

// takeOver hijacks the connection of w after its 101 was written and
// returns it with the bytes that came behind the request.
func takeOver(w http.ResponseWriter) (net.Conn, []byte, error) {
	conn, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		abandon(w, err)
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

// abandon has the HTTP server close a connection that could not be
// taken over: its 101 is still in the server's buffer, and a server doesn't go
// on with a connection on which a write failed. If it was hijacked by somebody
// else, it is theirs.
func abandon(w http.ResponseWriter, err error) {
	if !errors.Is(err, http.ErrHijacked) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	}
}

// canHijack tells, before anything is written, whether Hijack can work.
// It asks the innermost writer: a wrapper may have a Hijack method that only
// passes the call on, as Caddy's response recorder does, even over HTTP/2.
func canHijack(w http.ResponseWriter) bool {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			_, ok = w.(http.Hijacker)
			return ok
		}
		w = wrapper.Unwrap()
	}
}
