package nats

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/caddyws/caddy-websocket/engines"
)

// The headers of a record. roomHeader has the format, the hour of the last use, the
// millisecond of the wake, and a checksum over names, times and state; all but the format in
// decimal. A record with markerHeader says that the room is deleted; it is what the
// key-value clients of NATS write, too.
const (
	roomHeader   = "Websocket-Room"
	nodeHeader   = "Websocket-Node"  // the engine that wrote it, by a random text
	epochHeader  = "Websocket-Epoch" // of the room's log, as a token of its subject; if it has one
	markerHeader = "KV-Operation"
	markerValue  = "DEL"
	ttlHeader    = "Nats-TTL"
)

// format is the version of what is in a record.
const format = "v1"

var errDamaged = errors.New("the record of the room is damaged, or nobody's who writes rooms")

// times is what an index knows of a room.
type times struct {
	used hour
	wake moment
}

func timesOf(v engines.Value) times { return times{hourOf(v.Used), momentOf(v.Wake)} }

// header returns the header of a room's record.
func (t times) header(subject string, state []byte) nats.Header {
	return nats.Header{roomHeader: {fmt.Sprintf("%s %d %d %d", format, t.used, t.wake, t.sum(subject, state))}}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (t times) sum(subject string, state []byte) uint32 {
	sum := crc32.Checksum(fmt.Appendf(nil, "%s %d %d ", subject, t.used, t.wake), castagnoli)
	return crc32.Update(sum, castagnoli, state)
}

// parseHeader returns what the header of a room's record says.
func parseHeader(h nats.Header) (t times, sum uint32, err error) {
	var is string
	n, err := fmt.Sscanf(h.Get(roomHeader), "%s %d %d %d", &is, &t.used, &t.wake, &sum)
	switch {
	case n > 0 && is != format:
		return times{}, 0, fmt.Errorf("the record of the room has the format %q, this version of the engine reads %q", is, format)
	case err != nil:
		return times{}, 0, errDamaged
	}
	return t, sum, nil
}

// checkState returns an error unless the state is what was stored under the subject.
func checkState(h nats.Header, subject string, state []byte) error {
	t, sum, err := parseHeader(h)
	if err == nil && t.sum(subject, state) != sum {
		err = errDamaged
	}
	return err
}

// isMarker reports whether a record says that the room is deleted.
func isMarker(h nats.Header) bool {
	return h.Get(markerHeader) != "" || h.Get("Nats-Marker-Reason") != ""
}

// hour is a time as the index of uses has it: whole hours since 1970, rounded up, so that a
// room is never taken to be unused for longer than it is.
type hour int64

func hourOf(t time.Time) hour {
	return hour(max(t.Add(time.Hour-1).Truncate(time.Hour).Unix()/3600, 0))
}

func (h hour) time() time.Time { return time.Unix(3600*int64(h), 0).UTC() }

// moment is a time as the index of wakes has it: milliseconds since 1970, rounded up; 0 is
// none.
type moment int64

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	if t.Unix() >= math.MaxInt64/1000 {
		return math.MaxInt64
	}
	return moment(max(t.Add(time.Millisecond-1).UnixMilli(), 1))
}

func (m moment) time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// parseHeaderBytes reads a header as a server's answer has it.
func parseHeaderBytes(p []byte) (nats.Header, error) {
	if len(bytes.TrimSpace(p)) == 0 {
		return nats.Header{}, nil
	}
	h, err := nats.DecodeHeadersMsg(p)
	if err != nil {
		return nil, errDamaged
	}
	return h, nil
}
