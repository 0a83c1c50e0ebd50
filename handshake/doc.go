// Package handshake is the opening handshake of WebSocket over HTTP/1.1 (RFC 6455,
// section 4.2), HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220), with its subprotocols and the
// extension permessage-deflate (RFC 7692).
//
//	request -> Check -> Upgrade -> Upgraded: a connection, or a stream
//
// Check judges a request and writes nothing, so that a request is judged before any
// other work is done for it. Upgrade answers through the ResponseWriter: the headers of
// other handlers are sent, and access logs and metrics see the answer. **An [Error] means
// that nothing has been written**, and the caller answers with its status.
//
// Origins, rooms and rights are the caller's affair, and so is the connection
// afterwards.
package handshake
