package load

import (
	"bytes"
	"fmt"
	"time"
)

// broadcast has one client of a room send, and all of them count what comes. A
// text has its number in it: one that is lost, doubled or out of order shows.
type broadcast struct {
	g       *Generator
	size    int
	window  uint64
	every   time.Duration // between messages; 0 for as soon as one is delivered
	sent    uint64
	done    uint64   // delivered to everybody
	texts   [][]byte // in flight, by number modulo window
	sentAt  []time.Time
	missing []int
	frames  []byte

	joined    int // clients that the room has
	greetedAt time.Time
}

const broadcastSize = 32

// hello is sent until everybody has got one: servers take a client into the
// room some time after they have answered its handshake.
const (
	hello      = "hello"
	helloEvery = 10 * time.Millisecond
)

// Broadcast connects n clients of path, of which one sends with window texts in
// flight. With perSecond it sends so many in a second instead.
func (g *Generator) Broadcast(n, window, perSecond int, path string) error {
	if err := g.connect(n, path, false, ""); err != nil {
		return err
	}
	b := &broadcast{g: g, size: broadcastSize}
	if perSecond > 0 {
		b.every = time.Second / time.Duration(perSecond)
		window = 10 * perSecond
	}
	b.window = uint64(window)
	b.texts = make([][]byte, window)
	b.sentAt = make([]time.Time, window)
	b.missing = make([]int, window)
	g.work = b
	return nil
}

func (b *broadcast) message(c *conn, payload []byte) error {
	if string(payload) == hello && c.next == 0 {
		if !c.joined {
			c.joined = true
			b.joined++
		}
		return nil
	}
	slot := c.next % b.window
	if c.next >= b.sent || !bytes.Equal(payload, b.texts[slot]) {
		return fmt.Errorf("message %d came as %q", c.next, payload)
	}
	c.next++
	b.g.count++
	b.g.took(b.sentAt[slot])
	if b.missing[slot]--; b.missing[slot] == 0 {
		b.done++ // in order, because each client's are
	}
	return nil
}

func (b *broadcast) tick(sending bool) (bool, error) {
	if b.joined < len(b.g.conns) {
		return true, b.greet()
	}
	if !sending {
		return b.done < b.sent, nil
	}
	b.frames = b.frames[:0]
	for b.sent < b.done+b.window && b.due() {
		slot := b.sent % b.window
		text := append(fmt.Appendf(b.texts[slot][:0], "%016d ", b.sent), bytes.Repeat([]byte{'b'}, b.size)...)[:b.size]
		b.texts[slot], b.sentAt[slot], b.missing[slot] = text, b.g.now, len(b.g.conns)
		b.frames = appendMasked(b.frames, opText, text)
		b.sent++
	}
	if len(b.frames) == 0 {
		return true, nil
	}
	return true, b.g.send(b.g.conns[0], b.frames)
}

func (b *broadcast) greet() error {
	if b.g.now.Sub(b.greetedAt) < helloEvery {
		return nil
	}
	b.greetedAt = b.g.now
	return b.g.send(b.g.conns[0], appendMasked(nil, opText, []byte(hello)))
}

// due reports whether it is time for the next message.
func (b *broadcast) due() bool {
	return b.every == 0 || b.sent == 0 || b.g.now.Sub(b.sentAt[(b.sent-1)%b.window]) >= b.every
}
