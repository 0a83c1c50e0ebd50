package handshake

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
)

// IsConnect reports whether r opens a WebSocket on a stream of HTTP/2 (RFC 8441)
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
// then on the stream carries frames.
func upgradeStream(w http.ResponseWriter, r *http.Request, o Offer) (*Upgraded, error) {
	agreed := o.agree(r)
	agreed.put(w.Header(), "")
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil {
		return nil, fmt.Errorf("sending the handshake: %w", err)
	}
	return &Upgraded{Subprotocol: agreed.subprotocol, Deflate: agreed.deflate}, nil
}

// deleteConnectionFields deletes what speaks of the connection, and makes an answer on
// a stream malformed (RFC 9113, section 8.2.2; RFC 9114, section 4.2).
func deleteConnectionFields(h http.Header) {
	for _, name := range []string{"Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"} {
		h.Del(name)
	}
}
