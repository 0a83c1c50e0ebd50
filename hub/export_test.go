package hub

import (
	"maps"
	"slices"
)

// The bounds of what publishers wait for members.
const (
	FirstPatience = firstPatience
	ReaderPace    = readerPace
	LongestHold   = longestHold
)

// WaitingBytes is the size of the operations that wait or are in a turn.
func (h *Hub) WaitingBytes() int64 { return h.waiting.Load() }

// Rooms is the number of rooms in memory.
func (h *Hub) Rooms() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.rooms)
}

// Waiting is the number of messages that wait for a blocking app, in one go or
// the next.
func (m *Member) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inbox == nil {
		return 0
	}
	return len(m.inbox.messages)
}

// Wake has the updates told that wait for their time, in every room.
func Wake(h *Hub) {
	h.mu.Lock()
	rooms := slices.Collect(maps.Values(h.rooms))
	h.mu.Unlock()
	for _, room := range rooms {
		room.wake()
	}
}
