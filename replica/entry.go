package replica

import (
	"encoding/binary"
	"errors"
	"time"
)

// entry is a message as the log has it, with what is to be remembered of the operation
// that it was. Its place in the log is its version.
//
//	format   1 byte
//	flags    1 byte
//	at       varint, Unix nanoseconds
//	before   uvarint, size of all entries before it
//	writer   see writer.appendTo; of the first one of a batch
//	once     n as uvarint, then name, owner and digest; if the operation had an id
//	from, user, text   uvarint size each, then the bytes
//	json     the rest
type entry struct {
	Kept
	size   int // of its bytes
	writer *writer
	once   *remembered
}

// remembered is what is remembered of an operation with an id.
type remembered struct {
	mark
	owner owner
}

const entryFormat = 1

// The flags.
const (
	flagBinary = 1 << iota
	flagSilent
	flagWriter
	flagOnce
	flagJSON
	allFlags = 1<<iota - 1
)

// maxEntryHeader is more than an entry has beside the bytes of what was said.
const maxEntryHeader = 128

// size is the number of bytes that differ from message to message.
func (s *Said) size() int { return len(s.From) + len(s.User) + len(s.Text) + len(s.JSON) }

func (e *entry) flags() (flags byte) {
	for _, f := range []struct {
		set  bool
		flag byte
	}{{e.Binary, flagBinary}, {e.Silent, flagSilent}, {e.writer != nil, flagWriter}, {e.once != nil, flagOnce}, {e.JSON != nil, flagJSON}} {
		if f.set {
			flags |= f.flag
		}
	}
	return flags
}

// encode returns the bytes to store.
func (e *entry) encode() []byte {
	p := make([]byte, 0, maxEntryHeader+e.Said.size())
	p = append(p, entryFormat, e.flags())
	p = binary.AppendVarint(p, e.At.UnixNano())
	p = binary.AppendUvarint(p, e.before)
	if e.writer != nil {
		p = e.writer.appendTo(p)
	}
	if e.once != nil {
		p = binary.AppendUvarint(p, e.once.n)
		p = append(append(append(p, e.once.name[:]...), e.once.owner[:]...), e.once.digest[:]...)
	}
	p = appendSized(p, e.From)
	p = appendSized(p, e.User)
	p = appendSized(p, e.Text)
	return append(p, e.JSON...)
}

var errEntry = errors.New("decoding a message: damaged, or written by a newer version")

// parseEntry reads the entry at a position. It keeps parts of p.
func parseEntry(version uint64, p []byte) (e entry, err error) {
	if len(p) < 2 || p[0] != entryFormat || p[1]&^allFlags != 0 {
		return e, errEntry
	}
	flags := p[1]
	e.Version, e.size = version, len(p)
	e.Binary, e.Silent = flags&flagBinary != 0, flags&flagSilent != 0
	at, n := binary.Varint(p[2:])
	if n <= 0 {
		return e, errEntry
	}
	r := reader{p[2+n:], true}
	e.At, e.before = time.Unix(0, at).UTC(), r.uvarint()
	if flags&flagWriter != 0 {
		e.writer = &writer{process: binary.LittleEndian.Uint64(r.fixed(8))}
		e.writer.batch = r.uvarint()
	}
	if flags&flagOnce != 0 {
		e.once = &remembered{mark: mark{n: r.uvarint(), name: name(r.fixed(16))}, owner: owner(r.fixed(4))}
		e.once.digest = digest(r.fixed(8))
	}
	e.From, e.User, e.Text = string(r.part()), string(r.part()), r.part()
	switch {
	case !r.ok:
		return entry{}, errEntry
	case flags&flagJSON != 0:
		e.JSON = r.p
	case len(r.p) > 0:
		return entry{}, errEntry
	}
	return e, nil
}

// fixed reads so many bytes.
func (r *reader) fixed(n int) []byte {
	if len(r.p) < n {
		r.p, r.ok = nil, false
		return make([]byte, n)
	}
	p := r.p[:n]
	r.p = r.p[n:]
	return p
}

// part reads bytes with their size before them. They are a part of what is read.
func (r *reader) part() []byte {
	size := r.uvarint()
	if size > uint64(len(r.p)) {
		r.p, r.ok = nil, false
		return nil
	}
	return r.fixed(int(size))
}

// result is the answer that the operation of an entry had.
func (e *entry) result() Result {
	if e.Silent {
		return Result{Err: NewError(CodeRefused, false, string(e.Text)), Version: e.Version}
	}
	return Result{Version: e.Version}
}
