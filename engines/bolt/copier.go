package bolt

import (
	"fmt"

	"go.etcd.io/bbolt"
)

// copier copies the content of a file into a new one, in steps. The disk confirms each
// step, so that the time of all is known from that of the first ones.
type copier struct {
	to   *bbolt.DB
	pace *pace
}

func (c *copier) copy(tx *bbolt.Tx) error {
	from, err := tablesOf(tx)
	if err != nil {
		return err
	}
	rooms, err := c.copyBucket(roomsBucket, from.rooms)
	if err != nil {
		return err
	}
	if rooms != from.count {
		return fmt.Errorf("%w: it has %d rooms, and should have %d", errDamaged, rooms, from.count)
	}
	if _, err = c.copyBucket(usedBucket, from.used); err != nil {
		return err
	}
	if _, err = c.copyBucket(dueBucket, from.due); err != nil {
		return err
	}
	if err = c.copyLogs(from.logs); err != nil {
		return err
	}
	_, err = c.copyBucket(aboutBucket, from.about)
	return err
}

// copyBucket copies a bucket with its sequence and returns how many keys it has.
func (c *copier) copyBucket(name []byte, from *bbolt.Bucket) (n uint64, err error) {
	err = c.to.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(name)
		if err != nil {
			return err
		}
		return b.SetSequence(from.Sequence())
	})
	cursor := from.Cursor()
	for key, value := cursor.First(); key != nil && err == nil; {
		size := 0
		err = c.to.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(name)
			b.FillPercent = 1 // as the keys come in order
			for ; key != nil && size < compactStep; key, value = cursor.Next() {
				if err := b.Put(key, value); err != nil {
					return err
				}
				size += len(key) + len(value)
				n++
			}
			return nil
		})
		if err == nil {
			err = c.settle()
		}
	}
	return n, err
}

// copyLogs copies the logs of all rooms, many short ones or a part of a long one in each
// step.
func (c *copier) copyLogs(from *bbolt.Bucket) error {
	err := c.to.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(logsBucket)
		return err
	})
	for at := newLogCursor(from); at.key != nil && err == nil; {
		err = c.to.Update(func(tx *bbolt.Tx) error {
			for size := 0; at.key != nil && size < compactStep; at.next() {
				if err := at.putInto(tx.Bucket(logsBucket)); err != nil {
					return err
				}
				size += len(at.key) + len(at.value)
			}
			return nil
		})
		if err == nil {
			err = c.settle()
		}
	}
	return err
}

// logCursor goes over all that all logs have.
type logCursor struct {
	rooms      *bbolt.Bucket
	names      *bbolt.Cursor
	room       []byte
	log        *bbolt.Bucket
	entries    *bbolt.Cursor
	key, value []byte // nil at the end
}

func newLogCursor(rooms *bbolt.Bucket) *logCursor {
	at := &logCursor{rooms: rooms, names: rooms.Cursor()}
	at.room, _ = at.names.First()
	at.enter()
	return at
}

// enter goes to the beginning of the log of a room, or, if that is empty, of one that comes
// later.
func (at *logCursor) enter() {
	for ; at.room != nil; at.room, _ = at.names.Next() {
		if at.log = at.rooms.Bucket(at.room); at.log == nil {
			continue
		}
		at.entries = at.log.Cursor()
		if at.key, at.value = at.entries.First(); at.key != nil {
			return
		}
	}
	at.key = nil
}

func (at *logCursor) next() {
	if at.key, at.value = at.entries.Next(); at.key == nil {
		at.room, _ = at.names.Next()
		at.enter()
	}
}

// putInto puts what the cursor stands on into another bucket of logs.
func (at *logCursor) putInto(logs *bbolt.Bucket) error {
	log, err := logs.CreateBucketIfNotExists(at.room)
	if err != nil {
		return err
	}
	log.FillPercent = 1 // as the keys come in order
	if err := log.SetSequence(at.log.Sequence()); err != nil {
		return err
	}
	return log.Put(at.key, at.value)
}

// settle has the disk confirm what was copied. An error means that there is no use in
// going on.
func (c *copier) settle() error {
	if err := c.to.Sync(); err != nil {
		return err
	}
	return c.to.View(func(tx *bbolt.Tx) error { return c.pace.reached(tx.Size()) })
}
