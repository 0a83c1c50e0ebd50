package room

import (
	"context"
	"time"
)

// Discard deletes what is stored of the room, and reports whether it is gone. It is not
// deleted if anybody but the caller has to do with it, or if it was used after a time. A
// visitor that comes meanwhile waits in Load, and then finds a new room.
func (r *Room) Discard(ctx context.Context, unused time.Time) (gone bool, err error) {
	if err := r.lockLoading(ctx); err != nil {
		return false, err
	}
	defer r.unlockLoading()
	if !r.unload() || r.replica.LastUse().After(unused) { // nobody uses the replica once it is unloaded
		return false, nil
	}
	err = r.replica.Delete(ctx)
	return err == nil, err
}

// unload has the state loaded by the next visitor, unless there is one already.
func (r *Room) unload() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refs.Load() > 1 || r.throttle.armed || r.open != nil {
		return false
	}
	r.last = snapshot{}
	r.alarm.stop()
	return true
}
