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
	aboutBucket = []byte("about")

	formatKey = []byte("format")
	countKey  = []byte("count")
	markKey   = []byte("mark")
)

// format is the version of what is in the file.
const format = "caddy-websocket 1"

// tables is the content of the file within a transaction.
type tables struct {
	rooms, used, about *bbolt.Bucket

	count   uint64 // of rooms
	changed bool
}

// tablesOf finds the content. A file without it is somebody else's.
func tablesOf(tx *bbolt.Tx) (*tables, error) {
	t := &tables{rooms: tx.Bucket(roomsBucket), used: tx.Bucket(usedBucket), about: tx.Bucket(aboutBucket)}
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

// check returns an error if this code cannot read the file.
func (t *tables) check() error {
	if is := string(t.about.Get(formatKey)); is != format {
		return fmt.Errorf("its format is %q, this version of the engine reads %q", is, format)
	}
	return nil
}

func createTables(tx *bbolt.Tx) error {
	for _, name := range [][]byte{roomsBucket, usedBucket, aboutBucket} {
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
	return rev, t.move(key, old, hour(binary.BigEndian.Uint32(value[8:])))
}

// move has the index know when a room was used.
func (t *tables) move(key []byte, old stored, used hour) error {
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

// delete removes a room.
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
	return errors.Join(t.rooms.Delete(key), t.used.Delete(indexKey(old.used, key)))
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
