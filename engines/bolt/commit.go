package bolt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
)

// run is the committer: it does what waits, one transaction after another, until the
// engine is closed.
func (e *Engine) run() {
	for batch := e.queue.take(); len(batch) > 0; batch = e.queue.take() {
		e.commit(batch)
		for _, r := range batch {
			close(r.done)
		}
	}
}

// commit does all requests of a batch, or tells them why not. A request that cannot be
// done because of damage is left out.
func (e *Engine) commit(batch []*request) {
	batch = slices.Clone(batch)
	for len(batch) > 0 {
		f, err := e.writableFile()
		if err != nil {
			fail(batch, refused(err))
			return
		}
		culprit, err := e.try(f, batch)
		if err == nil {
			return
		}
		if culprit == nil {
			fail(batch, refused(err))
			return
		}
		culprit.err = refused(err)
		batch = slices.DeleteFunc(batch, func(r *request) bool { return r == culprit })
	}
}

// try does the requests in one transaction. With an error, which may be a certain
// request's, nothing has been done.
func (e *Engine) try(f *file, batch []*request) (culprit *request, err error) {
	tx, err := f.begin(true)
	if err != nil {
		return nil, err
	}
	changed, culprit, err := apply(tx, batch)
	if err != nil || !changed {
		f.rollback(tx)
		return culprit, err
	}
	e.finish(f, tx, batch)
	return nil, nil
}

// apply does the requests. An error is not the answer to a request, but why the
// transaction is of no use.
func apply(tx *bbolt.Tx, batch []*request) (changed bool, current *request, err error) {
	err = guard(func() error {
		t, err := tablesOf(tx)
		if err != nil {
			return err
		}
		for _, current = range batch {
			if current.rev, current.err = current.do(t); !isAnswer(current.err) {
				return current.err
			}
		}
		current, changed = nil, t.changed
		return t.finish()
	})
	return changed, current, err
}

func isAnswer(err error) bool {
	return err == nil || errors.Is(err, engines.ErrConflict) || errors.Is(err, engines.ErrNotFound) || errors.Is(err, engines.ErrRefused)
}

// finish commits a transaction. Nobody reads before it is known to be on disk, or
// not to be.
func (e *Engine) finish(f *file, tx *bbolt.Tx, batch []*request) {
	e.exclude()
	defer e.admit()
	if f.mayMove(tx) && f.backups.any() {
		defer time.AfterFunc(backupPatience, f.backups.cut).Stop()
	}
	txid := uint64(tx.ID())
	err := f.commit(tx)
	if e.log(err); err == nil {
		return
	}
	again := e.reopen()
	switch {
	case again != nil: // and so unknown
		fail(batch, fmt.Errorf("committing: %w; opening the file anew: %w", err, again))
	case e.file.txid < txid:
		fail(batch, refused(fmt.Errorf("committing: %w", err)))
	}
}

// backupPatience is how long a commit may take before backups are ended for which bbolt
// may be waiting.
const backupPatience = time.Second

// mayMove reports whether the file may need more address space than is reserved. Then
// bbolt waits for all that read it.
func (f *file) mayMove(tx *bbolt.Tx) bool { return tx.Size() > f.reserved/2 }

// log tells when the disk begins to refuse what is committed, and when that is over;
// each caller gets its own error.
func (e *Engine) log(err error) {
	file := zap.String("file", e.path)
	switch {
	case err != nil && !e.failing:
		logger().Error("rooms cannot be stored", file, zap.Error(err))
	case err == nil && e.failing:
		logger().Info("rooms can be stored again", file)
	}
	e.failing = err != nil
}

// fail gives the error to the requests that would have been done.
func fail(batch []*request, err error) {
	for _, r := range batch {
		if r.err == nil {
			r.rev, r.err = 0, err
		}
	}
}

// writableFile returns the file for writing, opened anew if it has to be.
func (e *Engine) writableFile() (*file, error) {
	if !e.file.usable() {
		e.exclude()
		defer e.admit()
		if err := e.reopen(); err != nil {
			return nil, fmt.Errorf("opening %s anew: %w", e.path, err)
		}
	}
	return e.file, e.file.inPlace(e.path)
}

// reopen opens the file anew. Nobody reads meanwhile.
func (e *Engine) reopen() error {
	if e.file != nil {
		if e.file.stuck.Load() {
			e.panics++
		}
		e.retire(e.file)
		e.file = nil
	}
	if e.panics > maxPanics {
		return cure(errStuck)
	}
	f, err := openFile(e.path, e.info)
	if err != nil {
		return cure(err)
	}
	e.file = f
	return nil
}

// maxPanics is how many files may be stuck: each one stays in the address space.
const maxPanics = 100

// retire closes a file, which may be opened again at once. A backup that is being made
// of it ends.
func (e *Engine) retire(f *file) {
	f.broken.Store(true)
	f.backups.cut()
	unlockDB(f.os)
	e.retired.Go(f.close)
}

// everybody is more than all readers that there can be.
const everybody = 1 << 40

// exclude lets no reader in and waits for those that read.
func (e *Engine) exclude() { _ = e.readers.Acquire(context.Background(), everybody) }

func (e *Engine) admit() { e.readers.Release(everybody) }
