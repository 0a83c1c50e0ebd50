// Package socket is one WebSocket connection after its handshake: messages in,
// messages out, keep-alive and closing (RFC 6455), over HTTP/1.1, HTTP/2 (RFC 8441)
// and HTTP/3 (RFC 9220); and the same queue and limits for a stream of Server-Sent
// Events.
//
// # Data flow
//
//	Transport -> Conn.Start: loop or link.read -> assembler -> Handler
//	                         loop or link.write <- queue <- Send, Write, Update
//
// A [Conn] knows nothing of rooms and apps: its [Handler] does. Reading is a
// state machine ([assembler]) that is fed whatever bytes have arrived and gives
// back whole messages, so that it does not matter who reads:
//
//   - Plain TCP on Linux is served by a [loop], which waits for many connections
//     at once and reads with a buffer of its own. An idle connection has neither
//     goroutine nor buffer: with its room 1.1 KiB in all, where gorilla's way
//     inside Caddy takes 33 (bench, work idle-5000).
//   - TLS on Linux has a goroutine while it has something to say and none once it
//     was silent for a second ([secure]): 10 KiB, most of it in crypto/tls, where
//     gorilla's way takes 55 (work idle-2000-tls). What an echo costs is the
//     system calls and crypto/tls: 0.9 of gorilla's (0.80 to 1.00 over five runs).
//   - Everything else, which is other systems, connections that somebody has
//     wrapped, and streams of HTTP/2 and 3, has a goroutine. The build tag nopoll
//     has it on Linux too.
//
// # Writing
//
// There is no writer goroutine. Who has something to send writes it himself,
// without blocking, from where he stands; what the socket does not take goes
// into the connection's queue, and a goroutine or the loop writes until that is
// empty. **Nobody ever waits for a slow client**: not the sender, not the room.
// While the handler works through what one read or one tick of a loop brought,
// answers are collected and leave in one write.
//
// What many are sent is encoded and compressed once for all of them ([Run]). With
// context takeover that cannot be: the queue then holds plain frames, and what
// leaves it is compressed for this connection. A connection that has agreed on
// permessage-deflate has a [compression]; others have none.
//
// # Time
//
// Each connection has one timer, armed for the earliest thing that may become
// due (a ping, a reader that takes nothing, an unfinished message, the peer's
// half of the close handshake) and re-armed when it fires. Traffic does not
// touch it.
//
// # Closing
//
// Close frames leave after what was queued before them. Whoever starts, the
// server ends the TCP connection (RFC 6455 section 7.1.1); where the client may
// still be sending, the server first shuts its own direction and reads on for a
// moment, since closing a socket with unread bytes would destroy the close
// frame on its way.
package socket
