package load

import (
	"bytes"
	"fmt"
)

// echo has each client send the same text again when it came back. The text
// has the client's number in it: an answer to somebody else shows.
type echo struct {
	g      *Generator
	window int
	flying int
	ready  []*conn // nothing of theirs is in flight
}

// Echo connects n clients of path that send texts of size bytes, window of them
// in flight each.
func (g *Generator) Echo(n, size, window int, path string, secure bool) error {
	if err := g.connect(n, path, secure, ""); err != nil {
		return err
	}
	for _, c := range g.conns {
		c.expect = append(fmt.Appendf(nil, "%08d ", c.id), bytes.Repeat([]byte{'e'}, size)...)[:size]
		c.send = bytes.Repeat(appendMasked(nil, opText, c.expect), window)
	}
	g.work = &echo{g: g, window: window, ready: append([]*conn(nil), g.conns...)}
	return nil
}

func (e *echo) message(c *conn, payload []byte) error {
	if !bytes.Equal(payload, c.expect) {
		return fmt.Errorf("echo of %q is %q", c.expect, payload)
	}
	if c.acks == 0 {
		return fmt.Errorf("%q came again", payload)
	}
	e.flying--
	e.g.count++
	if c.acks--; c.acks == 0 {
		e.g.took(c.sentAt)
		e.ready = append(e.ready, c)
	}
	return nil
}

// tick sends for those whose last texts came back.
func (e *echo) tick(sending bool) (bool, error) {
	if !sending {
		return e.flying > 0, nil
	}
	for _, c := range e.ready {
		c.sentAt, c.acks = e.g.now, e.window
		e.flying += e.window
		if err := e.g.send(c, c.send); err != nil {
			return true, err
		}
	}
	e.ready = e.ready[:0]
	return true, nil
}
