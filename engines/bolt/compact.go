package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
)

const (
	// minWaste is what must be free in a file for it to be compacted, in bytes, and
	// more than half of the file.
	minWaste = 16 << 20

	// compactStep is how much is copied in one transaction, in bytes.
	compactStep = 8 << 20
)

// isWasteful reports whether the file is much larger than its content. It asks
// right after opening: bbolt counts pages that transactions have freed since
// separately.
func (f *file) isWasteful() bool {
	pageSize := int64(f.db.Info().PageSize)
	free := int64(f.db.Stats().FreePageN) * pageSize
	return free > minWaste && free > f.info.Size()/2
}

// compact replaces the file by one that has nothing but its content. It takes as long
// as ctx allows. Until the copy is complete and on disk, the file stays as it is. When
// the copy cannot be made or put in place, as where the file is a mount point, the file
// goes on as it is. The file that it is given is closed by an error.
func compact(ctx context.Context, f *file, path string) (*file, error) {
	temporary := path + compactSuffix
	if err := f.copyTo(ctx, temporary); err != nil {
		notCompacted(path, err)
		return f, nil
	}
	before := f.info.Size()
	f.close() // as not all systems rename over a file that is open
	renaming := os.Rename(temporary, path)
	if renaming != nil {
		notCompacted(path, renaming)
	} else if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("putting the compacted file in place: %w", err)
	}
	f, err := openFile(path, nil)
	if err == nil && renaming == nil {
		logger().Info("the file of rooms is compacted", zap.String("file", path), zap.Int64("bytes_before", before), zap.Int64("bytes", f.info.Size()))
	}
	return f, err
}

// notCompacted tells why, and removes what there is of the copy.
func notCompacted(path string, err error) {
	logger().Warn("the file of rooms is not compacted", zap.String("file", path), zap.Error(err))
	_ = os.Remove(path + compactSuffix) // else by the next opening
}

// copyTo writes the content to a new file, with the owner and the mode of this one, and
// has the disk confirm it.
func (f *file) copyTo(ctx context.Context, path string) error {
	to, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: bboltTimeout, NoSync: true, NoGrowSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = adopt(path, f.info, f.info.Mode().Perm()) // first, as what syncs the content syncs this, too
	if err == nil {
		err = f.guard(func() error {
			return f.db.View(func(tx *bbolt.Tx) error { return copyBuckets(ctx, to, tx) })
		})
	}
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

func copyBuckets(ctx context.Context, to *bbolt.DB, tx *bbolt.Tx) error {
	from, err := tablesOf(tx)
	if err != nil {
		return err
	}
	rooms, err := copyBucket(ctx, to, roomsBucket, from.rooms)
	if err != nil {
		return err
	}
	if rooms != from.count {
		return fmt.Errorf("%w: it has %d rooms, and should have %d", errDamaged, rooms, from.count)
	}
	if _, err = copyBucket(ctx, to, usedBucket, from.used); err != nil {
		return err
	}
	_, err = copyBucket(ctx, to, aboutBucket, from.about)
	return err
}

// copyBucket copies a bucket with its sequence and returns how many keys it has.
func copyBucket(ctx context.Context, to *bbolt.DB, name []byte, from *bbolt.Bucket) (n uint64, err error) {
	err = to.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(name)
		if err != nil {
			return err
		}
		return b.SetSequence(from.Sequence())
	})
	c := from.Cursor()
	for key, value := c.First(); key != nil && err == nil; {
		if err = ctx.Err(); err != nil {
			break
		}
		err = to.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(name)
			b.FillPercent = 1 // as the keys come in order
			for size := 0; key != nil && size < compactStep; key, value = c.Next() {
				if err := b.Put(key, value); err != nil {
					return err
				}
				size += len(key) + len(value)
				n++
			}
			return nil
		})
	}
	return n, err
}
