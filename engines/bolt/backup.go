package bolt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"go.etcd.io/bbolt"
)

// Backup writes a copy of the file as of the last commit, without its mark: whoever
// opens the copy, and each time it is put back, gives it another one. A goroutine reads
// the file, so that one that is closed does not have to wait until w takes what was read.
func (e *Engine) Backup(w io.Writer) error {
	out, in := io.Pipe()
	f, tx, err := e.snapshot(in)
	if err != nil {
		return err
	}
	var reading sync.WaitGroup
	reading.Go(func() { _ = in.CloseWithError(e.read(f, tx, in)) })
	_, err = io.Copy(w, out)
	_ = out.CloseWithError(err)
	reading.Wait()
	f.backups.remove(in)
	return err
}

var errCutOff = errors.New("the file has been closed meanwhile, could not be written to, or has to grow: the backup is worthless")

// read writes what the transaction sees, and ends it. Once the file is broken, another
// transaction may change pages that the backup has yet to read.
func (e *Engine) read(f *file, tx *bbolt.Tx, w io.Writer) error {
	defer f.rollback(tx)
	out := &eraser{w: w, erase: e.mark}
	err := guard(func() error {
		_, err := tx.WriteTo(out)
		return err
	})
	if f.broken.Load() {
		return errCutOff
	}
	return errors.Join(err, out.flush())
}

// snapshot begins a transaction that sees what is committed, for a backup that goes into
// the pipe.
func (e *Engine) snapshot(in *io.PipeWriter) (*file, *bbolt.Tx, error) {
	if err := e.view(context.Background(), func(*tables) error { return nil }); err != nil {
		return nil, nil, err
	}
	_ = e.readers.Acquire(context.Background(), 1)
	defer e.readers.Release(1)
	if !e.file.usable() {
		return nil, nil, errors.New("the file cannot be read now")
	}
	tx, err := e.file.begin(false)
	if err == nil {
		e.file.backups.add(in)
	}
	return e.file, tx, err
}

// eraser writes on what is written to it, with zeros for certain bytes, wherever
// they are: old pages of the file may have them, too.
type eraser struct {
	w     io.Writer
	erase []byte
	held  []byte // may end with the beginning of what is to be erased
}

func (e *eraser) Write(p []byte) (int, error) {
	e.held = append(e.held, p...)
	for i := bytes.Index(e.held, e.erase); i >= 0; i = bytes.Index(e.held, e.erase) {
		clear(e.held[i : i+len(e.erase)])
	}
	n := max(len(e.held)-len(e.erase)+1, 0)
	if _, err := e.w.Write(e.held[:n]); err != nil {
		return 0, err
	}
	e.held = append(e.held[:0], e.held[n:]...)
	return len(p), nil
}

// flush writes what is held back.
func (e *eraser) flush() error {
	_, err := e.w.Write(e.held)
	return err
}
