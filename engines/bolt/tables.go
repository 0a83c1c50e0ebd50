package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"github.com/caddyws/caddy-websocket/engines"
)

// The buckets, and the keys in about.
var (
	roomsBucket = []byte("rooms")
	usedBucket  = []byte("used")
	dueBucket   = []byte("due")
	logsBucket  = []byte("logs")
	aboutBucket = []byte("about")

	formatKey = []byte("format")
	countKey  = []byte("count")
	markKey   = []byte("mark")
)

// format is the version of what is in the file. Those before are upgraded when they are
// opened: their values have no epochs, those of the first two lack the bucket logs, the first
// one also the bucket due and wakes.
const (
	format         = "caddy-websocket 4"
	formatNoEpochs = "caddy-websocket 3"
	formatNoLogs   = "caddy-websocket 2"
	formatNoWakes  = "caddy-websocket 1"
)

// tables is the content of the file within a transaction.
type tables struct {
	rooms, used, about *bbolt.Bucket
	due, logs          *bbolt.Bucket // nil in a file of a format before

	count   uint64 // of rooms
	changed bool
}

// tablesOf finds the content. A file without it is somebody else's.
func tablesOf(tx *bbolt.Tx) (*tables, error) {
	t := &tables{
		rooms: tx.Bucket(roomsBucket), used: tx.Bucket(usedBucket), about: tx.Bucket(aboutBucket),
		due: tx.Bucket(dueBucket), logs: tx.Bucket(logsBucket),
	}
	if t.rooms == nil || t.used == nil || t.about == nil {
		return nil, errForeign
	}
	count := t.about.Get(countKey)
	if len(count) != 8 {
		return nil, errDamaged
	}
	t.count = binary.BigEndian.Uint64(count)
	return t, nil
}

// check reports whether the file has to be upgraded first, and returns an error if this code
// cannot read it.
func (t *tables) check() (old bool, err error) {
	switch is := string(t.about.Get(formatKey)); {
	case is == formatNoEpochs, is == formatNoLogs, is == formatNoWakes:
		return true, nil
	case is != format:
		return false, fmt.Errorf("its format is %q, this version of the engine reads %q", is, format)
	case t.due == nil || t.logs == nil:
		return false, errDamaged
	}
	return false, nil
}

// upgrade makes a file of a format before one of this format.
func upgrade(tx *bbolt.Tx) error {
	for _, name := range [][]byte{dueBucket, logsBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(aboutBucket).Put(formatKey, []byte(format))
}

func createTables(tx *bbolt.Tx) error {
	for _, name := range [][]byte{roomsBucket, usedBucket, dueBucket, logsBucket, aboutBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	about := tx.Bucket(aboutBucket)
	return errors.Join(about.Put(formatKey, []byte(format)), about.Put(countKey, make([]byte, 8)))
}

// get returns what is stored under a key.
func (t *tables) get(key []byte) (stored, error) {
	p := t.rooms.Get(key)
	if p == nil {
		return stored{}, nil
	}
	return decodeValue(key, p)
}

// swap stores a value that encodeValue made, and returns its revision.
func (t *tables) swap(key []byte, rev uint64, value []byte, sum uint32) (uint64, error) {
	old, err := t.get(key)
	switch {
	case err != nil:
		return 0, refused(err)
	case old.rev != rev:
		return 0, engines.ErrConflict
	}
	rev, err = t.rooms.NextSequence()
	if err != nil {
		return 0, err
	}
	t.changed = true
	seal(value, sum, rev)
	if err := t.rooms.Put(key, value); err != nil {
		return 0, err
	}
	if old.rev == 0 {
		t.count++
	}
	now, err := parseValue(value)
	if err != nil {
		return 0, err
	}
	return rev, errors.Join(t.moveUsed(key, old, now.used), t.moveDue(key, old.wake, now.wake))
}

// moveUsed has the index know when a room was used.
func (t *tables) moveUsed(key []byte, old stored, used hour) error {
	if old.rev != 0 && old.used == used {
		return nil
	}
	if old.rev != 0 {
		if err := t.used.Delete(indexKey(old.used, key)); err != nil {
			return err
		}
	}
	return t.used.Put(indexKey(used, key), nil)
}

// moveDue has the index know when a room is to be woken.
func (t *tables) moveDue(key []byte, old, wake moment) error {
	if old == wake {
		return nil
	}
	if old != 0 {
		if err := t.due.Delete(dueKey(old, key)); err != nil {
			return err
		}
	}
	if wake == 0 {
		return nil
	}
	return t.due.Put(dueKey(wake, key), nil)
}

// delete removes a room with its log.
func (t *tables) delete(key []byte, rev uint64) error {
	old, err := t.get(key)
	switch {
	case err != nil:
		return refused(err)
	case old.rev == 0:
		return engines.ErrNotFound
	case old.rev != rev:
		return engines.ErrConflict
	}
	t.changed = true
	t.count--
	return errors.Join(t.dropLog(key), t.rooms.Delete(key), t.used.Delete(indexKey(old.used, key)), t.moveDue(key, old.wake, 0))
}

// finish stores what is known of all rooms together.
func (t *tables) finish() error {
	return t.about.Put(countKey, binary.BigEndian.AppendUint64(nil, t.count))
}

// list returns up to n keys after the given one.
func (t *tables) list(after []byte, n int) (keys []engines.Key) {
	for key := range from(t.rooms, after) {
		if len(keys) >= n {
			break
		}
		keys = append(keys, decodeKey(key))
	}
	return keys
}

// unused returns up to n entries of the index that are after the given one and of
// hours before the last.
func (t *tables) unused(after []byte, last hour, n int) (uses []engines.Use) {
	end := indexKey(last, nil)
	for key := range from(t.used, after) {
		if len(uses) >= n || bytes.Compare(key, end) >= 0 {
			break
		}
		uses = append(uses, decodeIndexKey(key))
	}
	return uses
}

// wakes returns up to n entries of the index of wakes that are after the given one and
// before the last.
func (t *tables) wakes(after []byte, last moment, n int) (wakes []engines.Wake) {
	end := dueKey(last, nil)
	for key := range from(t.due, after) {
		if len(wakes) >= n || bytes.Compare(key, end) >= 0 {
			break
		}
		wakes = append(wakes, decodeDueKey(key))
	}
	return wakes
}

// from goes over the keys of a bucket that come after the given one.
func from(b *bbolt.Bucket, after []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := b.Cursor()
		key, _ := c.Seek(after)
		if bytes.Equal(key, after) {
			key, _ = c.Next()
		}
		for ; key != nil && yield(key); key, _ = c.Next() {
		}
	}
}

// mark returns the mark of the file, unless it is a backup that was never opened.
func (t *tables) mark() ([]byte, bool) {
	mark := t.about.Get(markKey)
	return bytes.Clone(mark), len(mark) == markSize && !bytes.Equal(mark, make([]byte, markSize))
}

func refused(err error) error { return fmt.Errorf("%w: %w", engines.ErrRefused, err) }
