// Package socket is one WebSocket connection: the opening handshake, messages
// in, messages out, keep-alive and closing (RFC 6455).
//
// # Data flow
//
//	request -> Upgrade -> New -> link.read -> assembler -> Handler.Message
//	                          <- link.write <- queue     <- Write, Update, Close
//
// A [Conn] knows nothing of rooms and apps: its [Handler] does. Reading is a
// state machine ([assembler]) that is fed whatever bytes have arrived and gives
// back whole messages, so that it does not matter who does the reading: here a
// goroutine that waits for readability with no buffer in its hands.
//
// # Writing
//
// There is no writer goroutine. Who has something to send writes it himself,
// without blocking, from where he stands; what the socket does not take goes
// into the connection's queue and a goroutine lives until that is empty.
// **Nobody ever waits for a slow client**: not the sender, not the room. While
// the handler works through what one read brought, answers are collected and
// leave in one write.
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
