package bolt

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// A key in the file is the app's name, NUL and the room's, so that the order of
// bytes is the order of keys. A value is the revision (8 bytes), the hour of the
// last use (4), a checksum (4), the wake (8) if the highest bit of the hour is set, all
// big-endian, the epoch with its size (1) before it if the next bit is set, and the state.

// maxKey is the longest key in bytes. bbolt takes 32 KiB, of which the index needs
// some itself.
const maxKey = 16 << 10

var errKey = errors.New("the names of app and room are too long, or the app's has a NUL")

func encodeKey(key engines.Key) ([]byte, error) {
	if len(key.App)+len(key.Room) >= maxKey || strings.IndexByte(key.App, 0) >= 0 {
		return nil, errKey
	}
	return startKey(key), nil
}

// startKey is encodeKey for a key that only tells where to begin.
func startKey(key engines.Key) []byte {
	p := make([]byte, 0, len(key.App)+1+len(key.Room))
	return append(append(append(p, key.App...), 0), key.Room...)
}

func decodeKey(p []byte) engines.Key {
	app, room, _ := strings.Cut(string(p), "\x00")
	return engines.Key{App: app, Room: room}
}

// hour is a time as the index has it: whole hours since 1970, rounded up, so that
// a room is never taken to be unused for longer than it is. Within an hour a Swap
// leaves the index alone.
type hour uint32

func hourOf(t time.Time) hour {
	h := t.Add(time.Hour-1).Truncate(time.Hour).Unix() / 3600
	return hour(min(max(h, 0), hasEpoch-1))
}

func (h hour) time() time.Time { return time.Unix(3600*int64(h), 0).UTC() }

// moment is a time as the index of wakes has it: milliseconds since 1970, rounded up; 0
// is none.
type moment uint64

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(max(t.Add(time.Millisecond-1).UnixMilli(), 1))
}

func (m moment) time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// dueKey is where the index of wakes has a room.
func dueKey(m moment, key []byte) []byte {
	p := make([]byte, 0, 8+len(key))
	return append(binary.BigEndian.AppendUint64(p, uint64(m)), key...)
}

func decodeDueKey(p []byte) engines.Wake {
	m := moment(binary.BigEndian.Uint64(p))
	return engines.Wake{Key: decodeKey(p[8:]), At: m.time()}
}

// indexKey is where the index has a room.
func indexKey(h hour, key []byte) []byte {
	p := make([]byte, 0, 4+len(key))
	return append(binary.BigEndian.AppendUint32(p, uint32(h)), key...)
}

func decodeIndexKey(p []byte) engines.Use {
	h := hour(binary.BigEndian.Uint32(p))
	return engines.Use{Key: decodeKey(p[4:]), Used: h.time()}
}

// headerSize is what stands before the state, or before the wake, which has wakeSize, and the
// epoch.
const (
	headerSize = 16
	wakeSize   = 8
)

// What is set in the hour of a value with a wake, and of one with an epoch.
const (
	hasWake  = 1 << 31
	hasEpoch = 1 << 30
)

// maxEpoch bounds an epoch, in bytes.
const maxEpoch = 64

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errDamaged = errors.New("the value in the file is damaged: restore the file from a backup")
)

// stored is a value of the file. Its state is the file's own bytes.
type stored struct {
	rev   uint64 // 0: there is none
	used  hour
	wake  moment
	epoch []byte // of its log; empty: it has none; nil: a version stored it that did not keep this
	state []byte
}

// admits reports whether the log of the room may begin in an epoch.
func (v *stored) admits(epoch string) bool {
	return v.rev != 0 && (v.epoch == nil || epoch != "" && string(v.epoch) == epoch)
}

// encodeValue leaves the revision, which is not known yet, to seal. The sum is that of
// the rest.
func encodeValue(key []byte, v engines.Value) (p []byte, sum uint32) {
	p = make([]byte, headerSize, headerSize+wakeSize+1+len(v.Epoch)+len(v.State))
	used := uint32(hourOf(v.Used)) | hasEpoch
	if wake := momentOf(v.Wake); wake != 0 {
		used |= hasWake
		p = binary.BigEndian.AppendUint64(p, uint64(wake))
	}
	binary.BigEndian.PutUint32(p[8:], used)
	p = append(append(p, byte(len(v.Epoch))), v.Epoch...)
	p = append(p, v.State...)
	return p, checksum(key, p)
}

func checksum(key, p []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, p[8:12])
	return crc32.Update(sum, castagnoli, p[headerSize:])
}

// seal completes a value.
func seal(p []byte, sum uint32, rev uint64) {
	binary.BigEndian.PutUint64(p, rev)
	binary.BigEndian.PutUint32(p[12:], crc32.Update(sum, castagnoli, p[:8]))
}

func decodeValue(key, p []byte) (stored, error) {
	if len(p) < headerSize || crc32.Update(checksum(key, p), castagnoli, p[:8]) != binary.BigEndian.Uint32(p[12:]) {
		return stored{}, errDamaged
	}
	return parseValue(p)
}

// parseValue reads a value whose checksum is right.
func parseValue(p []byte) (stored, error) {
	v, rest := stored{rev: binary.BigEndian.Uint64(p)}, p[headerSize:]
	flags := binary.BigEndian.Uint32(p[8:])
	v.used = hour(flags &^ (hasWake | hasEpoch))
	if flags&hasWake != 0 {
		if len(rest) < wakeSize {
			return stored{}, errDamaged
		}
		v.wake, rest = moment(binary.BigEndian.Uint64(rest)), rest[wakeSize:]
	}
	if flags&hasEpoch != 0 {
		if len(rest) == 0 || len(rest) <= int(rest[0]) {
			return stored{}, errDamaged
		}
		end := 1 + int(rest[0])
		v.epoch, rest = rest[1:end:end], rest[end:]
	}
	v.state = rest
	return v, nil
}
