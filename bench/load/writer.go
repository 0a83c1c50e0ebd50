package load

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// writer is a client of a room that keeps messages.
type writer struct {
	conn   *conn
	room   *transcript
	joined bool
	next   uint64 // version of the message that it is told next

	flight
	text []byte

	// Its texts have the same versions in what the room is told and in the replies. Either
	// may come first.
	told     uint64   // how many of its texts the room was told
	acked    uint64   // how many were acknowledged
	versions []uint64 // of those by which one is ahead of the other
}

func newWriter(c *conn, r *transcript, window int, ids bool) *writer {
	w := &writer{conn: c, room: r, next: 1, flight: newFlight(window)}
	if ids {
		w.id = idsOf(c)
	}
	return w
}

// textSize is how long texts are: client, number and filling.
const textSize = 100

var filling = bytes.Repeat([]byte{'h'}, textSize)

// appendText appends the text n of the client.
func (w *writer) appendText(dst []byte, n uint64) []byte {
	begin := len(dst)
	dst = append(strconv.AppendInt(dst, int64(w.conn.id), 10), ' ')
	dst = append(strconv.AppendUint(dst, n, 10), ' ')
	return append(dst, filling[:textSize-(len(dst)-begin)]...)
}

// send appends the frames of n texts.
func (w *writer) send(frames []byte, n int, now time.Time) []byte {
	for range n {
		w.begin(now)
		w.text = w.appendText(append(w.text[:0], `{"data":"`...), w.sent)
		w.text = append(w.appendID(append(w.text, `",`...), w.sent), '}')
		frames = appendMasked(frames, opText, w.text)
	}
	return frames
}

// acknowledge takes a reply: it is the one to the oldest text in flight.
func (w *writer) acknowledge(payload []byte) error {
	if w.flying == 0 {
		return errNothing
	}
	if err := w.isOldest(payload); err != nil {
		return err
	}
	version, err := numberBehind(payload, versionField)
	if err != nil {
		return err
	}
	w.acked++
	w.room.acked++
	return w.match(version, w.acked > w.told)
}

// hear notes that the room was told its text n under a version.
func (w *writer) hear(n, version uint64) error {
	if n != w.told+1 || n > w.sent {
		return fmt.Errorf("text %d of client %d came behind its text %d of %d", n, w.conn.id, w.told, w.sent)
	}
	w.told++
	return w.match(version, w.told > w.acked)
}

// match compares the version of a text in the reply with that in what the room was told: the
// first of the two is ahead, and is noted.
func (w *writer) match(version uint64, ahead bool) error {
	if ahead {
		w.versions = append(w.versions, version)
		return nil
	}
	other := w.versions[0]
	if w.versions = w.versions[1:]; other != version {
		return fmt.Errorf("a text of client %d has version %d and version %d", w.conn.id, other, version)
	}
	return nil
}
