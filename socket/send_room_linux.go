//go:build linux && !nopoll

package socket

import "syscall"

// sendRoom knows how much a send buffer surely has room for. crypto/tls cannot write
// without waiting, so a message is written by the goroutine that sends it only where
// that surely does not wait, and by a goroutine of its own elsewhere.
//
// A write waits if a new packet is to be begun and the send buffer is full. What the
// kernel counts there is memory, not bytes: packetCost for each packet besides what
// is in it, and the client decides how small packets are. So each write uses up the
// most that it may take of the room that the kernel has told, which is asked again
// once that is gone.
//
// That pays: if a goroutine of its own makes every write, an echo over TLS costs a
// quarter more CPU time and two more allocations (bench, work echo-32x1000-tls). To
// ask the kernel before each write whether the send buffer is empty is simpler, but
// no cheaper, and safe for a few hundred bytes only.
type sendRoom struct {
	left int // bytes of the kernel's memory, when last asked, that no write has used up

	control  func(fd uintptr) // answers question: bound once, so that no call allocates
	question func(fd int) int
	answer   int
}

const (
	packetCost  = 1280      // a packet's memory in the kernel besides its bytes, rounded up (sk_buff and headers)
	packetBytes = 48        // in the smallest packet (sysctl net.ipv4.tcp_min_snd_mss)
	recordBytes = 1 << 10   // in the smallest record of crypto/tls but the last
	recordAdds  = 100       // what a record has besides, with any cipher
	roomMost    = 192 << 10 // enough for 7 KiB; tcp_notsent_lowat is rarely set to less than 16
	queuedMost  = 8 << 10
)

// worstWrite returns the most memory that writing n bytes takes of a send buffer.
func worstWrite(n int) int {
	records := n/recordBytes + 1
	n += records * recordAdds
	return n + (n/packetBytes+records)*packetCost
}

// worstRead is the most memory that one read takes of a send buffer: crypto/tls
// answers a client that asks for new keys (RFC 8446 section 4.6.3), and accepts 16
// such messages in a row.
const worstRead = 16 * (packetBytes + packetCost)

// reserve reports whether n bytes can be written, and uses up the room for them.
func (r *sendRoom) reserve(raw syscall.RawConn, n int) bool {
	worst := worstWrite(n)
	if r.left < worst {
		r.left = r.ask(raw, roomOf) - worstRead
	}
	if r.left < worst {
		r.left = 0 // writes that wait are not counted: ask again after them
		return false
	}
	r.left -= worst
	return true
}

// use takes n bytes of memory from what is left.
func (r *sendRoom) use(n int) { r.left = max(0, r.left-n) }

// roomOf returns how much memory is left of a send buffer, or 0 if too much is in it
// already.
func roomOf(fd int) int {
	size, queued := sendBufferMemory(fd)
	if queued > queuedMost {
		return 0
	}
	return min(size, roomMost) - queued
}

// ask puts a question to a socket. The answer is -1 if the socket is closed.
func (r *sendRoom) ask(raw syscall.RawConn, question func(fd int) int) int {
	if r.control == nil {
		r.control = func(fd uintptr) { r.answer = r.question(int(fd)) }
	}
	r.question, r.answer = question, -1
	_ = raw.Control(r.control) // fails if it is closed
	return r.answer
}
