package memory

import (
	"bytes"
	"context"

	"github.com/caddyws/caddy-websocket/engines"
)

// log is the entries of a room. It is guarded by Engine.mu.
type log struct {
	epoch   string
	entries [][]byte
	last    uint64 // position of the newest entry, trimmed or not
}

// first is the position of the oldest entry that is kept.
func (l *log) first() uint64 { return l.last - uint64(len(l.entries)) + 1 }

// maxRead is how many bytes Read returns, but for the last entry.
const maxRead = 1 << 20

// Append stores copies of entries behind the last one.
func (e *Engine) Append(_ context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (last uint64, err error) {
	size := 0
	for _, entry := range entries {
		size += len(entry)
	}
	if len(entries) == 0 || len(entries) > engines.MaxEntries || size > maxState {
		return 0, engines.ErrRefused
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, refusedClosed()
	}
	l := e.logs[key]
	if l == nil { // it begins if the room is stored with its epoch
		l = &log{epoch: e.rooms[key].epoch}
	}
	if _, stored := e.rooms[key]; !stored || l.epoch != epoch || l.last != after {
		return 0, engines.ErrConflict
	}
	if e.logs == nil {
		e.logs = make(map[engines.Key]*log)
	}
	e.logs[key] = l
	for _, entry := range entries {
		l.entries = append(l.entries, bytes.Clone(entry))
	}
	l.last += uint64(len(entries))
	return l.last, nil
}

// Read returns copies of entries behind a position.
func (e *Engine) Read(_ context.Context, key engines.Key, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, 0, 0, errClosed
	}
	l := e.logs[key]
	if l == nil || l.epoch != epoch {
		return nil, 1, 0, nil
	}
	first = l.first()
	size := 0
	for _, entry := range l.entries[max(min(after, l.last)+1, first)-first:] {
		if len(entries) >= n || size >= maxRead {
			break
		}
		size += len(entry)
		entries = append(entries, bytes.Clone(entry))
	}
	return entries, first, l.last, nil
}

// Trim removes the entries up to a position.
func (e *Engine) Trim(_ context.Context, key engines.Key, epoch string, upTo uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	l := e.logs[key]
	if l == nil || l.epoch != epoch || upTo < l.first() {
		return nil
	}
	gone := min(upTo, l.last) - l.first() + 1
	clear(l.entries[:gone])
	l.entries = l.entries[gone:] // what is before it goes when append moves the rest
	return nil
}
