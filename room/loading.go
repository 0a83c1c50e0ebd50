package room

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/route"
)

// Load reads the state when the first visitor comes, by a route that leads here. The
// error wraps ErrUnavailable. The caller has a reference.
func (r *Room) Load(ctx context.Context, visited *route.Route) error {
	if r.ReplaceRoute(visited) {
		r.Renew()
	}
	if !r.Stores() {
		return nil
	}
	if r.current().epoch != "" {
		return nil
	}
	ctx, cancel := r.shared.bound(ctx, loadTimeout)
	defer cancel()
	if err := r.lockLoading(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer r.unlockLoading()
	if r.current().epoch != "" {
		return nil
	}
	config := r.config()
	r.follows = config
	if err := r.read(ctx, config); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.goOn(ctx, config)
	return nil
}

// read hears of other processes from now on, and then reads the state.
func (r *Room) read(ctx context.Context, config *route.Config) error {
	if err := r.listen(ctx); err != nil {
		return err
	}
	return r.replica.Load(ctx, r.appOf(config), r.Route().Name)
}

// goOn hands the state that was read over to the turns, and does what is due.
func (r *Room) goOn(ctx context.Context, config *route.Config) {
	wait, pending := r.replica.Wake()
	at, now := r.replica.WakeTime(), r.snapshot()
	newest, _ := r.replica.Fresh() // nobody is there yet to be told
	r.mu.Lock()
	r.forgetRecent()
	r.rememberLoaded(newest)
	r.last = now // from here on the replica belongs to the turn
	r.arm(wait, at)
	r.mu.Unlock()
	if r.config() != config { // a reload has not seen that the room is loaded
		r.Renew()
	}
	if now.events.Told < now.events.Total {
		r.handOut(now, nil)
	}
	if pending && wait == 0 {
		r.wakeFirst(ctx)
	}
	r.catchUpWithOthers()
}

// loadTimeout is how long a visitor waits for the state to be read.
const loadTimeout = 10 * time.Second

// lockLoading waits until nobody else reads or deletes the state.
func (r *Room) lockLoading(ctx context.Context) error {
	select {
	case r.loading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Room) unlockLoading() { <-r.loading }

// ReplaceRoute makes another route that leads here the room's if its own is gone, and
// reports whether it did.
func (r *Room) ReplaceRoute(by *route.Route) (replaced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if replaced = r.route.HasEnded(); replaced {
		r.route = by
	}
	return replaced
}

// Renew has a turn taken in which the state follows its route's configuration.
// Before a room is loaded the loader does.
func (r *Room) Renew() {
	r.mu.Lock()
	loaded := r.last.epoch != "" && !r.retired
	if loaded {
		r.chores.follow = true
		r.engage()
	}
	r.mu.Unlock()
	if loaded {
		r.kick()
	}
}

// follow has the replica go on with the app of a configuration.
func (r *Room) follow(c *route.Config) {
	if r.follows == c {
		return
	}
	r.follows = c
	r.reopen(c)
	r.replica.Follow(r.appOf(c), r.Route().Name)
	r.remind(r.shared.Context, time.Time{})
}

// config is what the room's route is configured to be now.
func (r *Room) config() *route.Config { return r.Route().Config() }

// Route is the one whose app the state is of.
func (r *Room) Route() *route.Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.route
}

// IsStored reports whether something is stored of the room. No turn is under way.
func (r *Room) IsStored() bool { return r.replica != nil && r.replica.IsStored() }
