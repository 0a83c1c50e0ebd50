package nats

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/nats-io/nats.go"

	"github.com/caddyws/caddy-websocket/engines"
)

// batch is a message of a log: what one Append has added or, without entries, what one Trim
// has done. Its header tells the format, the batch's number in the log, the position of its
// first entry, how many entries it has, the oldest position that is kept from then on, and a
// checksum over subject, these and the data; all but the format in decimal. The data is the
// trail, and then each entry with its size before it.
//
// So the newest batch of a log tells all there is to know of it, and stays when everything is
// trimmed.
type batch struct {
	seq    uint64 // in the stream; 0: there is none
	number uint64
	first  uint64
	count  uint64
	oldest uint64
	trail  trail
	data   []byte
	body   int // where the entries begin in it
}

const batchHeader = "Websocket-Log"

// last is the last position of the log when the batch was stored; 0 if there is no batch.
func (b *batch) last() uint64 {
	if b.first == 0 {
		return 0
	}
	return b.first + b.count - 1
}

// then returns the batch with some entries that comes behind another one, in a log that keeps
// what comes from oldest on.
func (b *batch) then(oldest uint64, entries [][]byte) batch {
	next := batch{first: b.last() + 1, count: uint64(len(entries)), oldest: oldest}
	if b.first != 0 {
		next.number = b.number + 1
		next.trail = b.trail.then(b.number, place{b.seq, b.last()}, oldest)
	}
	size := len(next.trail) * 2 * binary.MaxVarintLen32
	for _, entry := range entries {
		size += len(entry) + binary.MaxVarintLen32
	}
	next.data = next.trail.appendTo(make([]byte, 0, size))
	next.body = len(next.data)
	for _, entry := range entries {
		next.data = append(binary.AppendUvarint(next.data, uint64(len(entry))), entry...)
	}
	return next
}

func (b *batch) header(subject, node string) nats.Header {
	return nats.Header{
		batchHeader: {fmt.Sprintf("%s %d %d %d %d %d", format, b.number, b.first, b.count, b.oldest, b.sum(subject))},
		nodeHeader:  {node},
	}
}

func (b *batch) sum(subject string) uint32 {
	sum := crc32.Checksum(fmt.Appendf(nil, "%s %d %d %d %d ", subject, b.number, b.first, b.count, b.oldest), castagnoli)
	return crc32.Update(sum, castagnoli, b.data)
}

// parseBatchHeader returns what the header of a batch says.
func parseBatchHeader(h nats.Header) (b batch, sum uint32, err error) {
	var is string
	n, err := fmt.Sscanf(h.Get(batchHeader), "%s %d %d %d %d %d", &is, &b.number, &b.first, &b.count, &b.oldest, &sum)
	switch {
	case n > 0 && is != format:
		return batch{}, 0, fmt.Errorf("a message of the room has the format %q, this version of the engine reads %q", is, format)
	case err != nil, b.first == 0, b.oldest == 0, b.count > engines.MaxEntries, b.oldest > b.first+b.count:
		return batch{}, 0, errDamaged
	}
	return b, sum, nil
}

// parseBatch returns the batch that is stored under a subject.
func parseBatch(subject string, s stored) (batch, error) {
	b, sum, err := parseBatchHeader(s.head)
	if err != nil {
		return batch{}, err
	}
	if b.seq, b.data = s.seq, s.data; b.sum(subject) != sum {
		return batch{}, errDamaged
	}
	var rest []byte
	b.trail, rest, err = parseTrail(b.data)
	b.body = len(b.data) - len(rest)
	return b, err
}

// page is entries that are read from one batch after another.
type page struct {
	entries [][]byte
	next    uint64 // the position of the next one
	last    uint64 // that of the last one that may be read
	limit   int    // how many may be
	size    int    // of those that are there
}

// maxRead is how many bytes Read returns, but for the last entry.
const maxRead = 1 << 20

func (p *page) isFull() bool {
	return len(p.entries) >= p.limit || p.size >= maxRead || p.next > p.last
}

// add adds the entries of a batch that come next.
func (p *page) add(b *batch) error {
	data := b.data[b.body:]
	for position := b.first; position < b.first+b.count; position++ {
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return errDamaged
		}
		end := n + int(size)
		if position == p.next && !p.isFull() {
			p.entries = append(p.entries, bytes.Clone(data[n:end]))
			p.size += int(size)
			p.next++
		}
		data = data[end:]
	}
	if len(data) > 0 {
		return errDamaged
	}
	return nil
}

// addNext is add for the batch that has the next position, or none that is kept.
func (p *page) addNext(b *batch) error {
	before := p.next
	switch {
	case p.isFull():
		return nil
	case b.first > before:
		return errDamaged
	}
	if err := p.add(b); err != nil {
		return err
	}
	if b.last() >= before && p.next == before {
		return errDamaged
	}
	return nil
}
