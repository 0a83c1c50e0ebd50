package room

// The bounds of what publishers wait for members.
const (
	FirstPatience = firstPatience
	ReaderPace    = readerPace
	LongestHold   = longestHold
)

// Waiting is the number of messages that wait for a blocking app, in one go or
// the next.
func (m *Member) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.extras == nil {
		return 0
	}
	return len(m.extras.inbox.messages)
}

// Wake has the updates told that wait for their time.
func Wake(r *Room) { r.wake() }
