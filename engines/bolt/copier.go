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

// settle has the disk confirm what was copied. An error means that there is no use in
// going on.
func (c *copier) settle() error {
	if err := c.to.Sync(); err != nil {
		return err
	}
	return c.to.View(func(tx *bbolt.Tx) error { return c.pace.reached(tx.Size()) })
}
