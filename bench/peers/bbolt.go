package peers

import (
	"crypto/tls"
	"encoding/binary"
	"path/filepath"

	"go.etcd.io/bbolt"
)

func serveBbolt(addr string, _ *tls.Config) error {
	db, err := bbolt.Open(filepath.Join(Data, "totals.db"), 0o600, nil)
	if err != nil {
		return err
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(totalsBucket)
		return err
	}); err != nil {
		return err
	}
	rooms := newStoredRooms()
	rooms.totals = &bboltTotals{db: db, told: rooms.told}
	return serveHandler(addr, nil, rooms)
}

var totalsBucket = []byte("totals")

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
