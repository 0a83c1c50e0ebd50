// Package socket is one WebSocket connection after its handshake: messages in,
// messages out, keep-alive and closing (RFC 6455), over HTTP/1.1, HTTP/2 (RFC 8441)
// and HTTP/3 (RFC 9220). A stream of Server-Sent Events is served with the same queue
// and the same limits.
//
// # Data flow
//
//	driver (reads) -> reader.consume -> assembler -> Handler
//	driver (writes) <- queue <- Send, Write, Update
//
// A [Conn] is a state machine. It knows its [Handler], but no rooms and no apps. It
// never waits: a [driver] moves the bytes, and there are two.
//
//   - A loopDriver serves plain TCP on Linux. Its [loop] waits for many connections
//     at once and reads with a buffer of its own, so an idle connection has neither
//     goroutine nor buffer.
//   - A [goroutineDriver] serves everything else, over a [link]: other systems, a
//     net.Conn of another type, streams of HTTP/2 and 3, event streams. The build tag
//     nopoll makes it serve plain TCP on Linux, too.
//   - TLS on Linux has a goroutineDriver that is parked in a loop while the client is
//     silent ([tlsLink]). An idle connection then has no goroutine; most of what it
//     has is inside of crypto/tls.
//
// What an idle connection and a message cost is measured in bench.
//
// # Reading
//
// A driver hands over whatever bytes have arrived. The [assembler] makes messages and
// control frames of them. If the client has more questions open than it may have, or
// does not take the answers, [reader.consume] gives back the rest of the bytes; the
// driver keeps them, and stops reading until the Conn calls driver.resume.
//
// # Writing
//
// There is no writing goroutine. Send and its like write themselves, without
// blocking. What the socket does not take goes into the connection's queue, and the
// driver writes until that is empty. **Nobody ever waits for a slow client**: neither
// the sender nor the room. While the handler works through what one read or one tick
// of a loop has brought, answers are collected and leave in one write.
//
// What goes to many clients is encoded and compressed once for all of them
// ([message.Batch]). With context takeover that is not possible: the queue then holds
// plain frames, and what leaves it is compressed for this connection. Only
// connections that have agreed on permessage-deflate have a [compression].
//
// # Time
//
// Each connection has one timer. It is set for the earliest thing that may become
// due, such as a ping, or the end of the patience with a client that takes nothing
// ([deadlines]), and set again when it fires. Traffic does not touch it.
//
// # Closing
//
// A close frame leaves after what was queued before it. Whichever side starts, the
// server ends the TCP connection (RFC 6455 section 7.1.1). Where the client may still
// be sending, the server first ends its own direction and reads on for a moment:
// closing a socket with unread bytes would destroy the close frame on its way.
//
// A client that ends its own direction without a close frame has perhaps only asked
// and waits: messages that are held are answered, for at most 10 s, and then a close
// frame with 1000 is sent. Usually it has gone, so the handler is told at once.
// A client that goes on taking what was queued before the close frame has a minute
// more to answer it than the usual 3 s, since otherwise a large answer would break off
// in the middle of a frame.
//
// A client may be here for a time only (Handler.Expires). Then answers that are owed are
// waited for half a second at most: a client that has asked something slow does not stay.
package socket
