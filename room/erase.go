package room

import (
	"context"
	"errors"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
)

// Erase deletes what is stored of the room, which may be in use: operations that come
// after that begin it anew. The error wraps that of the engine, engines.ErrConflict or
// engines.ErrNotFound if another process has changed the room: then nothing is deleted that
// nobody has seen. After an error of ctx it may be deleted all the same. The caller has a
// reference.
func (r *Room) Erase(ctx context.Context) error {
	if !r.Stores() {
		return nil
	}
	ctx, cancel := r.shared.bound(ctx, loadTimeout)
	defer cancel()
	if err := r.lockLoading(ctx); err != nil {
		return err
	}
	defer r.unlockLoading()
	if r.current().epoch != "" {
		return r.eraseInTurn(ctx)
	}
	return r.replica.DeleteUnread(ctx)
}

// eraseInTurn has the turn delete what is stored, which alone may use the replica.
func (r *Room) eraseInTurn(ctx context.Context) error {
	done := make(chan error, 1)
	r.mu.Lock()
	r.chores.erase = done
	r.engage()
	r.mu.Unlock()
	r.kick()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// erase is the turn of Erase. Afterwards the state is what is stored: a new one, or, if
// another process has changed it, that. After another error that is not known.
func (r *Room) erase(done chan<- error) {
	err := errors.New("deleting room: panic")
	defer func() { done <- err }()
	err = r.replica.Delete(r.shared.Context)
	if err != nil && !errors.Is(err, engines.ErrConflict) && !errors.Is(err, engines.ErrNotFound) {
		r.replica.Unload() // so that the next commit loads it
		return
	}
	r.begin(err == nil)
}

// begin goes on with what is stored now: a new life of the room, or what another process
// has made of it, which members are told.
func (r *Room) begin(anew bool) {
	ctx, cancel := r.shared.bound(context.Background(), loadTimeout)
	defer cancel()
	if failed := r.replica.Load(ctx, r.appOf(r.follows), r.Route().Name); failed != nil {
		r.report(failed)
		r.replica.Unload()
		return
	}
	r.lastUpdate = apps.Body{}
	if anew && !r.keeps {
		_ = r.replica.Late() // of the life that has ended
		r.setLast(r.snapshot())
		return
	}
	r.tellState()
}
