package bolt

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/caddyws/caddy-websocket/engines"
)

// The log of a room is a bucket under the room's key, in the bucket logs. Its sequence is
// the last position, which stays when all entries are trimmed. The key epochKey, which comes
// before all positions, has the epoch. An entry stands under its position (8 bytes,
// big-endian): a checksum (4) of the room's key, the position and the entry, then that.

var epochKey = []byte{0}

const sumSize = 4

func positionKey(at uint64) []byte { return binary.BigEndian.AppendUint64(nil, at) }

// encodeEntries returns what is stored of entries behind a position.
func encodeEntries(key []byte, after uint64, entries [][]byte) (values [][]byte) {
	for i, entry := range entries {
		p := binary.BigEndian.AppendUint32(make([]byte, 0, sumSize+len(entry)), entrySum(key, positionKey(after+uint64(i)+1), entry))
		values = append(values, append(p, entry...))
	}
	return values
}

func entrySum(key, position, entry []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, position)
	return crc32.Update(sum, castagnoli, entry)
}

// decodeEntry returns a copy of the entry that a value has.
func decodeEntry(key, position, value []byte) ([]byte, error) {
	if len(value) < sumSize || entrySum(key, position, value[sumSize:]) != binary.BigEndian.Uint32(value) {
		return nil, errDamaged
	}
	return append([]byte{}, value[sumSize:]...), nil
}

// log returns the log of a room in an epoch, or nil.
func (t *tables) log(key []byte, epoch string) (*bbolt.Bucket, error) {
	log := t.logs.Bucket(key)
	if log == nil {
		return nil, nil
	}
	switch is := log.Get(epochKey); {
	case is == nil:
		return nil, errDamaged
	case string(is) != epoch:
		return nil, nil
	}
	return log, nil
}

// append stores values that encodeEntries made, and returns the last position.
func (t *tables) append(key []byte, epoch string, after uint64, values [][]byte) (last uint64, err error) {
	log, err := t.logToAppend(key, epoch, after)
	if err != nil {
		return 0, err
	}
	t.changed = true
	log.FillPercent = 1 // as the keys come in order
	last = after
	for _, value := range values {
		last++
		if err := log.Put(positionKey(last), value); err != nil {
			return 0, err
		}
	}
	return last, log.SetSequence(last)
}

// logToAppend returns the log of a room in an epoch if its last position is the given one.
// For the first entries it makes it.
func (t *tables) logToAppend(key []byte, epoch string, last uint64) (*bbolt.Bucket, error) {
	log, err := t.log(key, epoch)
	switch {
	case err != nil:
		return nil, refused(err)
	case log == nil && (last != 0 || t.logs.Bucket(key) != nil): // or that is of another epoch
		return nil, engines.ErrConflict
	case log == nil:
		return t.beginLog(key, epoch)
	case log.Sequence() != last, t.rooms.Get(key) == nil:
		return nil, engines.ErrConflict
	}
	if newest, _ := log.Cursor().Last(); bytes.Compare(newest, positionKey(last)) > 0 { // which would be overwritten
		return nil, refused(errDamaged)
	}
	return log, nil
}

// beginLog makes the log of a room that is stored with an epoch.
func (t *tables) beginLog(key []byte, epoch string) (*bbolt.Bucket, error) {
	switch room, err := t.get(key); {
	case err != nil:
		return nil, refused(err)
	case !room.admits(epoch):
		return nil, engines.ErrConflict
	}
	log, err := t.logs.CreateBucket(key)
	if err != nil {
		return nil, err
	}
	return log, log.Put(epochKey, []byte(epoch))
}

// entries returns at most n entries behind a position, and the oldest and the newest one.
func (t *tables) entries(key []byte, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	log, err := t.log(key, epoch)
	if log == nil || err != nil {
		return nil, 1, 0, err
	}
	last = log.Sequence()
	first = firstPosition(log)
	c := log.Cursor()
	at, size := max(min(after, last)+1, first), 0
	for p, value := c.Seek(positionKey(at)); at <= last && len(entries) < n && size < maxRead; p, value = c.Next() {
		if !bytes.Equal(p, positionKey(at)) { // it is missing
			return nil, 0, 0, errDamaged
		}
		entry, err := decodeEntry(key, p, value)
		if err != nil {
			return nil, 0, 0, err
		}
		entries = append(entries, entry)
		size += len(entry)
		at++
	}
	return entries, first, last, nil
}

// firstPosition returns the oldest position of a log that is kept, or the one behind the
// last.
func firstPosition(log *bbolt.Bucket) uint64 {
	p, _ := log.Cursor().Seek(positionKey(1))
	if len(p) != 8 {
		return log.Sequence() + 1
	}
	return binary.BigEndian.Uint64(p)
}

// trim removes some of the entries up to a position, and reports whether there may be more.
func (t *tables) trim(key []byte, epoch string, upTo uint64) (more bool, err error) {
	log, err := t.log(key, epoch)
	if log == nil || err != nil {
		return false, err
	}
	upTo = min(upTo, log.Sequence())
	first := firstPosition(log)
	if first > upTo {
		return false, nil
	}
	t.changed = true
	end := min(upTo, first+trimStep-1)
	for at := first; at <= end; at++ {
		if err := log.Delete(positionKey(at)); err != nil {
			return false, err
		}
	}
	return end < upTo, nil
}

// dropLog removes the log of a room, if it has one.
func (t *tables) dropLog(key []byte) error {
	if t.logs.Bucket(key) == nil {
		return nil
	}
	return t.logs.DeleteBucket(key)
}
