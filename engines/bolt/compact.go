package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

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

// compactTimeout is how long a compaction may take, for which Open waits. One that
// turns out to need more is given up earlier. Only tests change it.
var compactTimeout = 5 * time.Second

// isWasteful reports whether the file is much larger than its content. It asks
// right after opening: bbolt counts pages that transactions have freed since
// separately.
func (f *file) isWasteful() bool {
	free := f.free()
	return free > minWaste && free > f.info.Size()/2
}

// free returns how much of the file is free, in bytes.
func (f *file) free() int64 { return int64(f.db.Stats().FreePageN) * int64(f.db.Info().PageSize) }

// compact replaces the file by one that has nothing but its content. It takes no longer
// than compactTimeout and ctx allow, but for a step that has begun. Until the copy is
// complete and on disk, the file stays as it is. When the copy cannot be made or put in
// place, as where the file is a mount point, the file goes on as it is. The file that it
// is given is closed by an error.
func compact(ctx context.Context, f *file, path string) (*file, error) {
	ctx, cancel := context.WithTimeout(ctx, compactTimeout)
	defer cancel()
	temporary := path + compactSuffix
	if err := f.copyTo(ctx, temporary); err != nil {
		notCompacted(path, f.info.Size(), err)
		return f, nil
	}
	before := f.info.Size()
	f.close() // as not all systems rename over a file that is open
	renaming := os.Rename(temporary, path)
	if renaming != nil {
		notCompacted(path, before, renaming)
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
func notCompacted(path string, size int64, err error) {
	logger().Warn("the file of rooms is not compacted", zap.String("file", path), zap.Int64("bytes", size), zap.Error(err))
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
		c := &copier{to: to, pace: newPace(ctx, f.info.Size()-f.free())}
		err = f.guard(func() error { return f.db.View(c.copy) })
	}
	return errors.Join(err, to.Close())
}
