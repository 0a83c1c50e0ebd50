package nats

import (
	"encoding/binary"
	"slices"
)

// A reader of a log knows a position, but the stream finds a message at once only by its
// sequence. So each batch tells where some of those before it are: its trail. Batches are
// numbered, and the digits of a batch's number in base 16 tell what is in its trail: as many
// as the last digit, the ones right before it; as many as the digit before that, each the last
// one of 16 in a row; and so on. Number 0x235 has the ends of two times 256 batches, of three
// times 16, and then the last five:
//
//	0x0ff 0x1ff   0x20f 0x21f 0x22f   0x230 0x231 0x232 0x233 0x234
//
// The end of 16 batches has the others of them in its own trail. So the newest batch leads to
// any other one by a step for each digit. What is trimmed is left out.

// trail is places of batches, in their order.
type trail []place

// place is where a batch is.
type place struct {
	seq  uint64 // in the stream
	last uint64 // position of the last entry
}

const trailBase = 16

// then returns the trail of the batch after one with a number, in a log that keeps what comes
// from oldest on.
func (t trail) then(number uint64, at place, oldest uint64) trail {
	next := append(slices.Clone(t), at)
	for number++; number%trailBase == 0; number /= trailBase { // the end of 16 stands for all of them
		next = append(next[:max(len(next)-trailBase, 0)], at)
	}
	return slices.DeleteFunc(next, func(p place) bool { return p.last < oldest })
}

// find returns the first of some places whose batch ends at or behind a position. It reports
// whether the position is in that batch, or, if there is none, in the one whose trail this is:
// else the batch leads on to it.
func (t trail) find(number, position uint64) (i int, is bool) {
	i, _ = slices.BinarySearchFunc(t, position, func(p place, position uint64) int {
		if p.last < position {
			return -1
		}
		return 1
	})
	return i, uint64(len(t)-i) <= number%trailBase
}

// appendTo appends the trail as a batch has it: the number of places, and then what sequence
// and position have grown by from each to the next.
func (t trail) appendTo(p []byte) []byte {
	p = binary.AppendUvarint(p, uint64(len(t)))
	var before place
	for _, at := range t {
		p = binary.AppendUvarint(binary.AppendUvarint(p, at.seq-before.seq), at.last-before.last)
		before = at
	}
	return p
}

// maxTrail is more places than the trail of any batch has.
const maxTrail = 256

// parseTrail reads what appendTo has appended, and returns the rest.
func parseTrail(p []byte) (t trail, rest []byte, err error) {
	count, n := binary.Uvarint(p)
	if n <= 0 || count > maxTrail {
		return nil, nil, errDamaged
	}
	p = p[n:]
	var at place
	for range count {
		for _, field := range []*uint64{&at.seq, &at.last} {
			grown, n := binary.Uvarint(p)
			if n <= 0 {
				return nil, nil, errDamaged
			}
			*field += grown
			p = p[n:]
		}
		t = append(t, at)
	}
	return t, p, nil
}
