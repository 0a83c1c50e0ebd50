package replica

import "encoding/binary"

// chains finds the record of a name. Records whose names begin alike are one chain.
// All of it is 4 KiB.
type chains struct {
	first []uint16 // by the beginning of the name: index of a record, plus one; 0: none
	next  []uint16 // by index of a record: that of the next one, plus one
}

func (c *chains) reset() {
	if c.first == nil {
		c.first, c.next = make([]uint16, maxNames), make([]uint16, maxNames)
	}
	clear(c.first)
}

func (c *chains) start(n name) *uint16 { return &c.first[binary.LittleEndian.Uint16(n[:])%maxNames] }

func (c *chains) add(n name, i int) {
	start := c.start(n)
	c.next[i], *start = *start, uint16(i+1)
}

// remove takes a record out, which is there.
func (c *chains) remove(n name, i int) {
	at := c.start(n)
	for *at != uint16(i+1) {
		at = &c.next[*at-1]
	}
	*at = c.next[i]
}

// find returns the index of the record of a name that is the one, or -1.
func (c *chains) find(n name, isIt func(i int) bool) int {
	for at := *c.start(n); at != 0; at = c.next[at-1] {
		if isIt(int(at - 1)) {
			return int(at - 1)
		}
	}
	return -1
}
