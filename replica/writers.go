package replica

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

// writer tells which batch a process stored last in a room.
type writer struct {
	process uint64
	batch   uint64 // number, among the batches of that process
}

// writers are the last processes that stored something in a room, the last one at the
// end. By them a process finds out whether a batch of its own is stored.
type writers []writer

const maxWriters = 64

// with returns the writers when this one has stored a batch. It changes those before.
func (w writers) with(now writer) writers {
	i := w.index(now.process)
	switch {
	case i >= 0:
		w = slices.Delete(w, i, i+1)
	case len(w) == maxWriters:
		w = slices.Delete(w, 0, 1)
	}
	return append(w, now)
}

func (w writers) index(process uint64) int {
	return slices.IndexFunc(w, func(x writer) bool { return x.process == process })
}

// mayMiss reports whether a process that is not among the writers may have stored
// something since they were those before. It was then put out by others, and so was
// each one that is older.
func (w writers) mayMiss(before writers) bool {
	return len(w) == maxWriters && !slices.Contains(before, w[0])
}

// appendTo appends the stored form of the writers when this one has stored a batch:
// their number in 1 byte, then of each the process in 8 bytes and the batch as uvarint.
func (w writers) appendTo(dst []byte, now writer) []byte {
	i := w.index(now.process)
	if i < 0 && len(w) == maxWriters {
		i = 0
	}
	start := len(dst)
	dst = append(dst, 0)
	for k, x := range w {
		if k != i {
			dst = x.appendTo(dst)
			dst[start]++
		}
	}
	dst[start]++
	return now.appendTo(dst)
}

func (w writer) appendTo(dst []byte) []byte {
	return binary.AppendUvarint(binary.LittleEndian.AppendUint64(dst, w.process), w.batch)
}

// parseWriters returns the writers at the beginning of p and the rest.
func parseWriters(p []byte) (w writers, rest []byte, ok bool) {
	if len(p) == 0 || p[0] > maxWriters {
		return nil, nil, false
	}
	n, p := int(p[0]), p[1:]
	for range n {
		if len(p) < 8 {
			return nil, nil, false
		}
		process := binary.LittleEndian.Uint64(p)
		batch, size := binary.Uvarint(p[8:])
		if size <= 0 {
			return nil, nil, false
		}
		w, p = append(w, writer{process, batch}), p[8+size:]
	}
	return w, p, true
}

// process is this process as a writer. Its methods may be called concurrently.
type process struct {
	once sync.Once
	id   uint64
	last atomic.Uint64 // number of the newest batch
}

// next returns the writer of a new batch.
func (p *process) next() writer {
	p.once.Do(func() {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		p.id = binary.LittleEndian.Uint64(random[:])
	})
	return writer{process: p.id, batch: p.last.Add(1)}
}
