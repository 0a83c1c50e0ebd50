package bolt

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/semaphore"

	"github.com/caddyws/caddy-websocket/engines"
)

// maxState is the largest state of a room. A state is sent whole to joining
// members, so that a larger one would help nobody.
const maxState = 1 << 20

// Engine is a file of rooms that is open.
type Engine struct {
	// Immutable.
	path  string
	info  os.FileInfo // tells which file was opened first
	lock  *lock
	mark  []byte
	queue *queue

	readers *semaphore.Weighted // one for each of them; everybody while a commit is under way
	file    *file               // changed by the committer while it excludes readers; nil: cannot be opened

	// Owned by the committer.
	panics  int  // how many files are stuck
	failing bool // the last commit has failed

	committer sync.WaitGroup
	retired   sync.WaitGroup // files that are being closed
}

var errClosed = errors.New("engine is closed")

// open opens the file, or creates it.
func open(ctx context.Context, path string) (*Engine, error) {
	e, err := openLocked(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, cure(err))
	}
	e.committer.Go(e.run)
	return e, nil
}

// openLocked takes the lock, which an error gives back.
func openLocked(ctx context.Context, path string) (*Engine, error) {
	if err := createFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	l, err := takeLock(ctx, path+lockSuffix)
	if err != nil {
		return nil, err
	}
	f, err := prepare(ctx, path)
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	e := &Engine{path: path, info: f.info, lock: l, queue: newQueue(), readers: semaphore.NewWeighted(everybody), file: f}
	if e.mark, err = f.ensureMark(); err != nil {
		f.close()
		return nil, errors.Join(err, l.release())
	}
	return e, nil
}

// What stands beside the file, by what is added to its name.
const (
	lockSuffix    = ".lock"
	newSuffix     = ".new"     // until a new file is complete
	compactSuffix = ".compact" // until a compacted one is
)

func createFolder(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(path, folderMode); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// prepare opens the file, created or compacted if need be.
func prepare(ctx context.Context, path string) (*file, error) {
	_ = os.Remove(path + compactSuffix) // where it cannot be removed, nothing is compacted
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = createFile(path)
	case err == nil && info.Mode().IsRegular() && info.Size() == 0:
		err = fillFile(path, info)
	}
	if err != nil {
		return nil, err
	}
	f, err := openFile(path, nil)
	if err != nil || !f.isWasteful() {
		return f, err
	}
	return compact(ctx, f, path)
}

// ensureMark returns the mark of the file. A new file and one that was restored from
// a backup have none and are given one.
func (f *file) ensureMark() (mark []byte, err error) {
	ok := false
	err = f.view(func(t *tables) error {
		mark, ok = t.mark()
		return nil
	})
	if err != nil || ok {
		return mark, err
	}
	mark = newMark()
	return mark, f.guard(func() error {
		return f.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(aboutBucket).Put(markKey, mark) })
	})
}

// Swap stores a value if rev is the room's revision.
func (e *Engine) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	if len(v.State) > maxState || len(v.Epoch) > maxEpoch {
		return 0, engines.ErrRefused
	}
	k, err := encodeKey(key)
	if err != nil {
		return 0, refused(err)
	}
	value, sum := encodeValue(k, v)
	return e.request(ctx, len(value), func(t *tables) (uint64, error) { return t.swap(k, rev, value, sum) })
}

// Delete removes a room with its log if rev is its revision.
func (e *Engine) Delete(ctx context.Context, key engines.Key, rev uint64) error {
	k, err := encodeKey(key)
	if err != nil {
		return engines.ErrNotFound
	}
	_, err = e.request(ctx, len(k), func(t *tables) (uint64, error) { return 0, t.delete(k, rev) })
	return err
}

// request has the committer do something and waits for it.
func (e *Engine) request(ctx context.Context, size int, do func(*tables) (uint64, error)) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, refused(err)
	}
	r := &request{do: do, size: size, done: make(chan struct{})}
	if !e.queue.add(r) {
		return 0, refused(errClosed)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if e.queue.withdraw(r) {
			return 0, refused(ctx.Err())
		}
		return r.poll(ctx.Err())
	}
	return r.rev, r.err
}

// poll returns what has come of a request that is under way, or the error if that is not
// known yet.
func (r *request) poll(err error) (uint64, error) {
	select {
	case <-r.done:
		return r.rev, r.err
	default:
		return 0, fmt.Errorf("the commit goes on: %w", err)
	}
}

// MaxState is 1 MiB.
func (*Engine) MaxState() int { return maxState }

// Mark returns the mark of the file.
func (e *Engine) Mark() string { return hex.EncodeToString(e.mark) }

// Close commits what waits and closes the file. It ends backups.
func (e *Engine) Close() error {
	if !e.queue.close() {
		return nil
	}
	e.committer.Wait()
	e.exclude()
	if e.file != nil {
		e.retire(e.file)
		e.file = nil
	}
	e.admit()
	e.retired.Wait()
	return e.lock.release()
}

// Interface guards
var (
	_ engines.Engine   = (*Engine)(nil)
	_ engines.Backuper = (*Engine)(nil)
	_ engines.Marked   = (*Engine)(nil)
	_ engines.Log      = (*Engine)(nil)
)
