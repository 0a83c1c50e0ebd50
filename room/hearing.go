package room

import (
	"context"

	"github.com/caddyws/caddy-websocket/engines"
)

// Other processes may store something in a room that is in memory here. An engine that is
// engines.Shared tells, from before the state is loaded until the room leaves memory. Then the
// state is read in a turn, and told to all members if it is another one.

// listen has the room hear of what other processes store in it. It is called before the
// state is read, so that nothing comes between.
func (r *Room) listen(ctx context.Context) error {
	if r.shared.Others == nil || r.ignore != nil {
		return nil
	}
	ignore, err := r.shared.Others.Subscribe(ctx, r.key, r.hear)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ignore = ignore
	return nil
}

// ignoreOthers ends what listen has begun. mu is held, so it does not wait.
func (r *Room) ignoreOthers() {
	if r.ignore != nil {
		r.shared.Go(r.ignore)
	}
}

// hear is told what other processes do. It does not wait.
func (r *Room) hear(event engines.Event) {
	r.mu.Lock()
	r.heard = max(r.heard, event.Rev)
	r.mu.Unlock()
	r.take(func(c *chores) { c.refresh = true })
}

// refresh makes the state what other processes have stored, as far as was heard of it.
func (r *Room) refresh() {
	r.mu.Lock()
	rev := r.heard
	r.mu.Unlock()
	another, err := r.replica.Refresh(r.shared.Context, rev)
	r.stored(another, err)
	if err != nil {
		r.refreshLater()
	}
}

// refreshLater tries again. Until then the room stays in memory.
func (r *Room) refreshLater() {
	if r.shared.isClosing() || !r.refreshing.CompareAndSwap(false, true) {
		return
	}
	r.Retain()
	r.shared.Go(func() {
		defer r.Release()
		r.shared.sleep(settlePause)
		r.refreshing.Store(false)
		r.take(func(c *chores) { c.refresh = true })
	})
}
