package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// adder is a client of a room with a total.
type adder struct {
	conn  *conn
	room  *room
	seen  uint64 // the last total that it was told
	timed bool   // its latency counts

	// Of one that sends.
	window int
	every  time.Duration // between numbers; 0 for as soon as some are answered
	id     string        // what its ids begin with; empty if numbers have none
	sent   uint64
	flying int
	times  []time.Time // of what is in flight, a ring
	head   int
	text   []byte
}

// prepare makes a one that sends.
func (a *adder) prepare(window int, ids bool) {
	a.window, a.times = window, make([]time.Time, window)
	if ids {
		a.id = "client-" + strconv.Itoa(a.conn.id) + ":"
	}
}

// due returns how many numbers to send now.
func (a *adder) due(now time.Time) int {
	switch {
	case a.every > 0:
		if a.flying < a.window && (a.sent == 0 || now.Sub(a.times[(a.head+a.flying+a.window-1)%a.window]) >= a.every) {
			return 1
		}
		return 0
	case a.flying > a.window/2:
		// Half a window at a time: one write for several, as a busy client does.
		return 0
	}
	return a.window - a.flying
}

var plainOne = appendMasked(nil, opText, []byte("1"))

// send appends the frames of n numbers.
func (a *adder) send(frames []byte, n int, now time.Time) []byte {
	for range n {
		a.times[(a.head+a.flying)%a.window] = now
		a.flying++
		a.room.flying++
		a.sent++
		if a.id == "" {
			frames = append(frames, plainOne...)
			continue
		}
		a.text = append(a.appendID(append(a.text[:0], '{'), a.sent), `,"value":1}`...)
		frames = appendMasked(frames, opText, a.text)
	}
	return frames
}

// appendID appends the field id of the number n.
func (a *adder) appendID(dst []byte, n uint64) []byte {
	dst = append(append(dst, `"id":"`...), a.id...)
	return append(strconv.AppendUint(dst, n, 10), '"')
}

// answered judges a reply: it is the one to the oldest number in flight.
func (a *adder) answered(payload []byte) error {
	if a.flying == 0 {
		return errors.New("reply to nothing")
	}
	if a.id == "" {
		return nil
	}
	a.text = a.appendID(a.text[:0], a.sent-uint64(a.flying)+1)
	switch {
	case !bytes.Contains(payload, a.text):
		return fmt.Errorf("reply without %s", a.text)
	case bytes.Contains(payload, repeatField):
		return errors.New("reply to a repeat")
	}
	return nil
}

// oldest takes the oldest number out of those in flight and returns when it was sent.
func (a *adder) oldest() time.Time {
	sentAt := a.times[a.head]
	a.head = (a.head + 1) % a.window
	a.flying--
	return sentAt
}
