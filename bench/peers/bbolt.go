package peers

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"path/filepath"

	"go.etcd.io/bbolt"
)

func serveBbolt(addr string, _ *tls.Config) error {
	db, err := bbolt.Open(filepath.Join(Data, "rooms.db"), 0o600, nil)
	if err != nil {
		return err
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{totalsBucket, messagesBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	rooms := newStoredRooms()
	rooms.totals = &bboltTotals{db: db, told: rooms.told}
	kept := newKeptRooms()
	kept.keeper = &bboltKeeper{db: db, rooms: kept}
	return serveHandler(addr, nil, storedHandler(rooms, kept))
}

var (
	totalsBucket   = []byte("totals")
	messagesBucket = []byte("messages")
)

// bboltTotals are keys of a bbolt file. Each number is a transaction of its own.
type bboltTotals struct {
	db   *bbolt.DB
	told func(room string, total int64)
}

func (t *bboltTotals) add(room string, n int64) (total int64, err error) {
	err = t.db.Update(func(tx *bbolt.Tx) error {
		bucket, key := tx.Bucket(totalsBucket), []byte(room)
		if p := bucket.Get(key); len(p) == 8 {
			total = int64(binary.BigEndian.Uint64(p))
		}
		total += n
		return bucket.Put(key, binary.BigEndian.AppendUint64(nil, uint64(total)))
	})
	return total, err
}

func (t *bboltTotals) tell(room string, total int64) { t.told(room, total) }

// bboltKeeper has a bucket for each room of a bbolt file, with its messages by their
// versions. Each message is a transaction of its own.
type bboltKeeper struct {
	db    *bbolt.DB
	rooms *keptRooms
}

// keep tells the room itself: the next message of the room is stored behind that, so that
// all are told in their order. bbolt has one transaction at a time in any case.
func (k *bboltKeeper) keep(room string, m keptMessage) (uint64, error) {
	r := k.rooms.room(room)
	r.storing.Lock()
	defer r.storing.Unlock()
	err := k.db.Update(func(tx *bbolt.Tx) (err error) {
		bucket, err := tx.Bucket(messagesBucket).CreateBucketIfNotExists([]byte(room))
		if err != nil {
			return err
		}
		if m.Version, err = bucket.NextSequence(); err != nil {
			return err
		}
		if err := bucket.Put(versionKey(m.Version), m.encode()); err != nil {
			return err
		}
		return trim(bucket, m.Version)
	})
	if err == nil {
		k.rooms.told(room, m)
	}
	return m.Version, err
}

func versionKey(version uint64) []byte { return binary.BigEndian.AppendUint64(nil, version) }

// trimEvery is how many messages are removed at once: most transactions need not touch the
// oldest page.
const trimEvery = 100

// trim removes the oldest messages, now and then.
func trim(bucket *bbolt.Bucket, newest uint64) error {
	if newest%trimEvery != 0 || newest < Kept+trimEvery {
		return nil
	}
	for at := newest - Kept - trimEvery + 1; at <= newest-Kept; at++ {
		if err := bucket.Delete(versionKey(at)); err != nil {
			return err
		}
	}
	return nil
}

func (k *bboltKeeper) behind(room string, version uint64) (messages []keptMessage, err error) {
	err = k.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(messagesBucket).Bucket([]byte(room))
		if bucket == nil {
			return nil
		}
		c := bucket.Cursor()
		for key, value := c.Seek(versionKey(version + 1)); key != nil; key, value = c.Next() {
			var m keptMessage
			if err := json.Unmarshal(value, &m); err != nil {
				return err
			}
			messages = append(messages, m)
		}
		return nil
	})
	return messages, err
}

func (k *bboltKeeper) last(room string) (version uint64, err error) {
	err = k.db.View(func(tx *bbolt.Tx) error {
		if bucket := tx.Bucket(messagesBucket).Bucket([]byte(room)); bucket != nil {
			version = bucket.Sequence()
		}
		return nil
	})
	return version, err
}
