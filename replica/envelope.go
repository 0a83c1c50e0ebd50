package replica

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// envelope is what is stored of a room: the app's bytes and what has to be
// remembered beside them.
//
//	format   1 byte, 1 to 4
//	epoch    8 bytes
//	version  uvarint
//	at       varint, Unix nanoseconds
//	used     varint, Unix seconds; this and what follows not in format 1
//	route    uvarint size, then the name
//	writers  see writers.appendTo
//	parts    1 byte, a bit for each of those that follow; only in format 4
//	ids      uvarint size, then see ids; in format 3, and with bit 1
//	lag      uvarint, nanoseconds; with bit 2
//	events   see Events.appendTo; with bit 4
//	app      the rest
type envelope struct {
	epoch   string        // names this life of the room; see epochs
	version uint64        // operations applied since
	at      time.Time     // of the last one
	lag     time.Duration // how far the machine's clock was behind that
	used    int64         // when the room was last used, as far as is stored, in Unix seconds
	route   string        // name of the route that stored it
	writers writers
	ids     []byte // nil if no operation had an id
	events  Events
	app     []byte // nil if nothing was ever applied

	// Of a room that keeps messages; not stored.
	checkpoint uint64  // the version of the value that is stored
	checkTotal uint64  // the size of all entries up to that
	tail       []entry // behind that, and what the replica has not seen; nil once it is a part of the rest
	tailSize   int     // bytes of all entries that were added to the tail
	skipped    bool    // that was too much, and what was said is not in the tail
	total      uint64  // the size of all entries, if there are any behind the value; 0 once it is part of the state
}

// The formats. Each has what those before have; a room has the first that is enough.
const (
	formatPlain   = 1 // read, not written any more
	formatWriters = 2
	formatIDs     = 3
	formatParts   = 4
)

// The bits of the parts.
const (
	partIDs    = 1
	partLag    = 2
	partEvents = 4
	allParts   = partIDs | partLag | partEvents
)

const epochSize = 8

var errEnvelope = errors.New("decoding room: damaged")

// encode returns the bytes to store, with the batch of a writer and a table of ids, in
// the memory of spare if there is enough. The ids and the app's bytes of the envelope
// become parts of them.
func (e *envelope) encode(spare []byte, now writer, table *ids) []byte {
	dst := slices.Grow(spare[:0], 64+20*len(e.writers)+table.size()+len(e.app))
	format, parts := e.form(table)
	dst = append(dst, format)
	dst = append(dst, e.epoch...)
	dst = binary.AppendUvarint(dst, e.version)
	dst = binary.AppendVarint(dst, e.at.UnixNano())
	dst = binary.AppendVarint(dst, e.used)
	dst = binary.AppendUvarint(dst, uint64(len(e.route)))
	dst = append(dst, e.route...)
	dst = e.writers.appendTo(dst, now)
	if format == formatParts {
		dst = append(dst, parts)
	}
	e.ids = nil
	if parts&partIDs != 0 {
		dst = binary.AppendUvarint(dst, uint64(table.size()))
		start := len(dst)
		dst = table.appendTo(dst)
		e.ids = dst[start:]
	}
	if parts&partLag != 0 {
		dst = binary.AppendUvarint(dst, uint64(e.lag))
	}
	if parts&partEvents != 0 {
		dst = e.events.appendTo(dst)
	}
	start := len(dst)
	dst = append(dst, e.app...)
	e.app = dst[start:]
	return dst
}

// form returns the parts that there are and the first format that is enough for them.
func (e *envelope) form(table *ids) (format, parts byte) {
	if !table.empty() {
		parts |= partIDs
	}
	if e.lag > 0 {
		parts |= partLag
	}
	if e.events.Total > 0 {
		parts |= partEvents
	}
	switch parts {
	case 0:
		return formatWriters, parts
	case partIDs:
		return formatIDs, parts
	}
	return formatParts, parts
}

// parseEnvelope reads what is stored. The envelope keeps parts of the bytes.
func parseEnvelope(p []byte) (e envelope, err error) {
	if len(p) < 1+epochSize {
		return envelope{}, errEnvelope
	}
	format := p[0]
	if format < formatPlain || format > formatParts {
		return envelope{}, fmt.Errorf("decoding room: unknown format %d, written by a newer version", format)
	}
	e.epoch, p = string(p[1:1+epochSize]), p[1+epochSize:]
	version, n := binary.Uvarint(p)
	if n <= 0 {
		return envelope{}, errEnvelope
	}
	at, k := binary.Varint(p[n:])
	if k <= 0 {
		return envelope{}, errEnvelope
	}
	e.version, e.at, p = version, time.Unix(0, at).UTC(), p[n+k:]
	e.checkpoint = version
	ok := true
	if format >= formatWriters {
		p, ok = e.parseUse(p)
	}
	if ok && format >= formatWriters {
		e.writers, p, ok = parseWriters(p)
	}
	if ok {
		p, ok = e.parseParts(format, p)
	}
	if !ok {
		return envelope{}, errEnvelope
	}
	e.app = p
	return e, nil
}

// parseParts reads the parts that there are and returns the rest.
func (e *envelope) parseParts(format byte, p []byte) (rest []byte, ok bool) {
	var parts byte
	switch {
	case format < formatIDs:
		return p, true
	case format == formatIDs:
		parts = partIDs
	case len(p) == 0 || p[0]&^allParts != 0:
		return nil, false
	default:
		parts, p = p[0], p[1:]
	}
	if parts&partIDs != 0 {
		if e.ids, p, ok = parseIDs(p); !ok {
			return nil, false
		}
	}
	if parts&partLag != 0 {
		lag, n := binary.Uvarint(p)
		if n <= 0 || lag > math.MaxInt64 {
			return nil, false
		}
		e.lag, p = time.Duration(lag), p[n:]
	}
	if parts&partEvents != 0 {
		e.events, p, ok = parseEvents(p)
		return p, ok
	}
	return p, true
}

// parseUse reads when and by which route the room was used, and returns the rest.
func (e *envelope) parseUse(p []byte) (rest []byte, ok bool) {
	used, n := binary.Varint(p)
	if n <= 0 {
		return nil, false
	}
	size, k := binary.Uvarint(p[n:])
	p = p[max(n+k, 0):]
	if k <= 0 || size > uint64(len(p)) {
		return nil, false
	}
	e.used, e.route = used, string(p[:size])
	return p[size:], true
}

// parseIDs returns the table of ids at the beginning of p and the rest.
func parseIDs(p []byte) (table, rest []byte, ok bool) {
	size, n := binary.Uvarint(p)
	if n <= 0 || size > uint64(len(p)-n) {
		return nil, nil, false
	}
	table, rest = p[n:n+int(size)], p[n+int(size):]
	_, ok = divideIDs(table)
	return table, rest, ok
}

// randomEpoch returns 8 characters that nobody can guess (40 bits).
func randomEpoch() string { return rand.Text()[:epochSize] }
