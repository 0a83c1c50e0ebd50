package nats

import (
	"cmp"
	"iter"
	"slices"

	"github.com/caddyws/caddy-websocket/engines"
)

// item is a room at a place in an order: by a number, then by its key.
type item struct {
	at  int64
	key engines.Key
}

func compareItems(a, b item) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key.App, b.key.App), cmp.Compare(a.key.Room, b.key.Room))
}

// blockSize bounds what an insertion has to move.
const blockSize = 512

// ordered is a set of items in order: blocks, none of them empty, that are in order within
// and among each other. Its zero value is empty.
type ordered struct{ blocks [][]item }

// find returns where an item is, or where it would be.
func (o *ordered) find(x item) (block, i int, found bool) {
	block, _ = slices.BinarySearchFunc(o.blocks, x, func(b []item, x item) int { return compareItems(b[len(b)-1], x) })
	if block == len(o.blocks) {
		return block, 0, false
	}
	i, found = slices.BinarySearchFunc(o.blocks[block], x, compareItems)
	return block, i, found
}

// add adds an item that is not in the set.
func (o *ordered) add(x item) {
	b, i, _ := o.find(x)
	switch {
	case len(o.blocks) == 0:
		o.blocks = [][]item{{x}}
		return
	case b == len(o.blocks): // behind all others
		b--
		i = len(o.blocks[b])
	}
	block := slices.Insert(o.blocks[b], i, x)
	o.blocks[b] = block
	if len(block) > blockSize {
		rest := slices.Clone(block[blockSize/2:])
		o.blocks[b] = slices.Clip(block[:blockSize/2])
		o.blocks = slices.Insert(o.blocks, b+1, rest)
	}
}

// remove removes an item if it is there.
func (o *ordered) remove(x item) {
	b, i, found := o.find(x)
	if !found {
		return
	}
	if o.blocks[b] = slices.Delete(o.blocks[b], i, i+1); len(o.blocks[b]) == 0 {
		o.blocks = slices.Delete(o.blocks, b, b+1)
	}
}

// after goes over the items behind a given one, in order. The set must not change meanwhile.
func (o *ordered) after(x item) iter.Seq[item] {
	return func(yield func(item) bool) {
		b, i, found := o.find(x)
		if found {
			i++
		}
		for ; b < len(o.blocks); b, i = b+1, 0 {
			for _, y := range o.blocks[b][i:] {
				if !yield(y) {
					return
				}
			}
		}
	}
}
