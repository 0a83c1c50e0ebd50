package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// flight is what a client has sent that is not answered yet. Answers come in the order of
// what was sent.
type flight struct {
	window int
	id     string // what its ids begin with
	sent   uint64
	flying int
	times  []time.Time // of what is in flight, a ring
	head   int
	field  []byte // scratch
}

// newFlight is for a client that has so many messages in flight at most.
func newFlight(window int) flight { return flight{window: window, times: make([]time.Time, window)} }

// idsOf is what the ids of a client begin with under which its messages count once.
func idsOf(c *conn) string { return "client-" + strconv.Itoa(c.id) + ":" }

// free returns how many messages to send now. It is half a window at a time: one write for
// several, as a busy client does.
func (f *flight) free() int {
	if f.flying > f.window/2 {
		return 0
	}
	return f.window - f.flying
}

// begin notes that a message is sent.
func (f *flight) begin(now time.Time) {
	f.times[(f.head+f.flying)%f.window] = now
	f.flying++
	f.sent++
}

// newest returns when the newest of those in flight was sent.
func (f *flight) newest() time.Time { return f.times[(f.head+f.flying+f.window-1)%f.window] }

// end takes the oldest message out of those in flight and returns when it was sent.
func (f *flight) end() time.Time {
	sentAt := f.times[f.head]
	f.head = (f.head + 1) % f.window
	f.flying--
	return sentAt
}

// appendID appends the field id of the message n.
func (f *flight) appendID(dst []byte, n uint64) []byte {
	dst = append(append(dst, `"id":"`...), f.id...)
	return append(strconv.AppendUint(dst, n, 10), '"')
}

var (
	errNothing = errors.New("reply to nothing")
	errRepeat  = errors.New("reply to a repeat")
)

// isOldest judges the id of a reply: it is that of the oldest message in flight.
func (f *flight) isOldest(payload []byte) error {
	f.field = f.appendID(f.field[:0], f.sent-uint64(f.flying)+1)
	switch {
	case !bytes.Contains(payload, f.field):
		return fmt.Errorf("reply without %s", f.field)
	case bytes.Contains(payload, repeatField):
		return errRepeat
	}
	return nil
}
