package bolt

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

const (
	fileMode   fs.FileMode = 0o600
	folderMode fs.FileMode = 0o700

	// growth is by how much the file grows at a time.
	growth = 4 << 20

	// bboltTimeout is how long bbolt waits for its own lock on the file, which no
	// other process of this engine takes.
	bboltTimeout = time.Second
)

// file is a bbolt file that is open. Transactions may be begun concurrently, one of
// them for writing.
type file struct {
	// Immutable.
	db   *bbolt.DB
	os   *os.File
	info os.FileInfo
	txid uint64 // of the newest transaction when it was opened

	reserved int64 // address space in bytes, unless the file needs more
	backups  backups

	broken atomic.Bool // what it shows may not be on disk
	stuck  atomic.Bool // bbolt may have panicked with its locks taken
}

// addressSpace is how much of it is reserved for the file: while bbolt needs more,
// transactions wait for readers, and a backup is a long one.
func addressSpace() int {
	if runtime.GOOS == "windows" || math.MaxInt == math.MaxInt32 { // there the file would be as large
		return 0
	}
	return math.MaxInt >> 27 // 64 GiB
}

// openFile opens a file that exists; if same is given, only that one. What it
// shows is on disk.
func openFile(path string, same os.FileInfo) (*file, error) {
	info, err := os.Stat(path)
	switch {
	case same != nil && !os.SameFile(info, same): // or it is not there
		return nil, errors.Join(errReplaced, err)
	case err != nil:
		return nil, err
	}
	newest, err := settleMetas(path)
	if err != nil {
		return nil, err
	}
	f, err := openDB(path, addressSpace())
	if errors.Is(err, syscall.ENOMEM) { // the process may not have so much address space
		f, err = openDB(path, 0)
	}
	if err != nil {
		return nil, err
	}
	f.info, f.txid = info, newest.txid
	if err := f.upgrade(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// upgrade has the file be of the present format, if it is one that can be read.
func (f *file) upgrade() error {
	old := false
	err := f.view(func(t *tables) (err error) {
		old, err = t.check()
		return err
	})
	if err != nil || !old {
		return err
	}
	return f.guard(func() error { return f.db.Update(upgrade) })
}

// openDB opens what bbolt finds at the path, and never creates it.
func openDB(path string, mmapSize int) (*file, error) {
	f := new(file)
	options := &bbolt.Options{
		Timeout: bboltTimeout, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mmapSize,
		OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
			f.os, err = os.OpenFile(name, flag&^os.O_CREATE, mode) //nolint:gosec // the operator names the file
			return f.os, err
		},
	}
	err := guard(func() (err error) {
		f.db, err = bbolt.Open(path, fileMode, options)
		return err
	})
	if err != nil {
		if f.os != nil { // after a panic it is open still
			unlockDB(f.os)
			_ = f.os.Close()
		}
		return nil, err
	}
	f.db.AllocSize = growth
	f.reserved = int64(mmapSize)
	return f, nil
}

// begin begins a transaction, which ends by rollback or commit.
func (f *file) begin(writable bool) (tx *bbolt.Tx, err error) {
	err = f.guard(func() (err error) {
		tx, err = f.db.Begin(writable)
		return err
	})
	if err != nil {
		f.broken.Store(true)
	}
	return tx, err
}

func (f *file) rollback(tx *bbolt.Tx) {
	if f.guard(tx.Rollback) != nil {
		f.broken.Store(true)
	}
}

func (f *file) commit(tx *bbolt.Tx) error {
	err := f.guard(tx.Commit)
	if err != nil {
		f.broken.Store(true)
	}
	return err
}

// guard is guard for what takes locks of bbolt.
func (f *file) guard(do func() error) error {
	err := guard(do)
	if _, ok := errors.AsType[*panicError](err); ok {
		f.stuck.Store(true)
	}
	return err
}

// view calls do with the tables as they are now.
func (f *file) view(do func(*tables) error) error {
	tx, err := f.begin(false)
	if err != nil {
		return err
	}
	defer f.rollback(tx)
	return guard(func() error {
		t, err := tablesOf(tx)
		if err != nil {
			return err
		}
		return do(t)
	})
}

// usable reports whether the file may be read and written.
func (f *file) usable() bool { return f != nil && !f.broken.Load() && !f.stuck.Load() }

// close waits for transactions. It reports no errors: what counts is on disk already. A
// file that is stuck stays in the address space.
func (f *file) close() {
	if f.stuck.Load() {
		_ = f.os.Close()
		return
	}
	_ = f.guard(f.db.Close)
}

// Why a file is not used.
var (
	errReplaced = errors.New("it has been removed or replaced while it is in use: restart Caddy")
	errForeign  = errors.New("it is a bbolt file of another program")
	errStuck    = errors.New("it is damaged in many places")
)

// inPlace reports what has become of the file that the path names.
func (f *file) inPlace(path string) error {
	if info, err := os.Stat(path); err != nil || !os.SameFile(info, f.info) {
		return fmt.Errorf("%s: %w", path, errReplaced)
	}
	return nil
}

func removeIfThere(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// markSize is the length of a mark in bytes.
const markSize = 16

func newMark() []byte {
	mark := make([]byte, markSize)
	_, _ = rand.Read(mark) // it never fails
	return mark
}

// cure adds to an error what to do about it.
func cure(err error) error {
	var advice string
	_, damaged := errors.AsType[*panicError](err)
	switch {
	case damaged, errors.Is(err, errStuck), errors.Is(err, errNoRooms), errors.Is(err, errCut), errors.Is(err, errDamaged):
		advice = "restore it from a backup, or move it away to begin without rooms"
	case errors.Is(err, errForeign), errors.Is(err, syscall.EISDIR):
		advice = "name another file (engine bolt <path>)"
	case errors.Is(err, syscall.EROFS):
		advice = "name a file on another file system (engine bolt <path>)"
	case errors.Is(err, fs.ErrPermission):
		advice = "the user that runs Caddy has to be able to write to the file and its folder"
	case errors.Is(err, bbolterrors.ErrTimeout):
		advice = "another program has it open: stop that"
	default:
		return err
	}
	return fmt.Errorf("%w; %s", err, advice)
}
