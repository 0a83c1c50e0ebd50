package load

import "time"

// adder is a client of a room with a total.
type adder struct {
	conn  *conn
	room  *room
	seen  uint64 // the last total that it was told
	timed bool   // its latency counts

	// Of one that sends.
	flight
	ids   bool          // numbers have ids
	every time.Duration // between numbers; 0 for as soon as some are answered
	text  []byte
}

// prepare makes a one that sends.
func (a *adder) prepare(window int, ids bool) {
	a.flight, a.ids = newFlight(window), ids
	a.id = idsOf(a.conn)
}

// due returns how many numbers to send now.
func (a *adder) due(now time.Time) int {
	if a.every == 0 {
		return a.free()
	}
	if a.flying < a.window && (a.sent == 0 || now.Sub(a.newest()) >= a.every) {
		return 1
	}
	return 0
}

var plainOne = appendMasked(nil, opText, []byte("1"))

// send appends the frames of n numbers.
func (a *adder) send(frames []byte, n int, now time.Time) []byte {
	for range n {
		a.begin(now)
		a.room.flying++
		if !a.ids {
			frames = append(frames, plainOne...)
			continue
		}
		a.text = append(a.appendID(append(a.text[:0], '{'), a.sent), `,"value":1}`...)
		frames = appendMasked(frames, opText, a.text)
	}
	return frames
}

// answered judges a reply: it is the one to the oldest number in flight.
func (a *adder) answered(payload []byte) error {
	switch {
	case a.flying == 0:
		return errNothing
	case !a.ids:
		return nil
	}
	return a.isOldest(payload)
}
