package bolt

import (
	"bytes"
	"context"
	"errors"
	"io"

	"go.etcd.io/bbolt"
)

// Backup writes a copy of the file as of the last commit, without its mark: whoever
// opens the copy, and each time it is put back, gives it another one.
func (e *Engine) Backup(w io.Writer) error {
	f, tx, err := e.snapshot()
	if err != nil {
		return err
	}
	defer f.rollback(tx)
	out := &eraser{w: unbroken{w, f}, erase: e.mark}
	err = guard(func() error {
		_, err := tx.WriteTo(out)
		return err
	})
	if err == nil {
		err = out.flush()
	}
	if out.err != nil { // which bbolt only has the text of
		return out.err
	}
	return err
}

// unbroken writes as long as the file is in use. After that another transaction may
// change pages that the backup has yet to read.
type unbroken struct {
	w io.Writer
	f *file
}

var errCutOff = errors.New("the file has been closed meanwhile, or could not be written to: the backup is worthless")

func (u unbroken) Write(p []byte) (int, error) {
	n, err := u.w.Write(p)
	if u.f.broken.Load() {
		err = errCutOff
	}
	return n, err
}

// snapshot begins a transaction that sees what is committed.
func (e *Engine) snapshot() (*file, *bbolt.Tx, error) {
	if err := e.view(context.Background(), func(*tables) error { return nil }); err != nil {
		return nil, nil, err
	}
	_ = e.readers.Acquire(context.Background(), 1)
	defer e.readers.Release(1)
	if !e.file.usable() {
		return nil, nil, errors.New("the file cannot be read now")
	}
	tx, err := e.file.begin(false)
	return e.file, tx, err
}

// eraser writes on what is written to it, with zeros for certain bytes, wherever
// they are: old pages of the file may have them, too.
type eraser struct {
	w     io.Writer
	erase []byte
	held  []byte // may end with the beginning of what is to be erased
	err   error  // of w
}

func (e *eraser) Write(p []byte) (int, error) {
	e.held = append(e.held, p...)
	for i := bytes.Index(e.held, e.erase); i >= 0; i = bytes.Index(e.held, e.erase) {
		clear(e.held[i : i+len(e.erase)])
	}
	n := max(len(e.held)-len(e.erase)+1, 0)
	if _, e.err = e.w.Write(e.held[:n]); e.err != nil {
		return 0, e.err
	}
	e.held = append(e.held[:0], e.held[n:]...)
	return len(p), nil
}

// flush writes what is held back.
func (e *eraser) flush() error {
	_, e.err = e.w.Write(e.held)
	return e.err
}
