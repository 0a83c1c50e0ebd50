package hub

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
	return len(m.inbox.messages)
}
