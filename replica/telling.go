package replica

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/caddyws/caddy-websocket/apps"
)

// Told notes how many events of a life of the room have been told outside. The next commit
// stores it, or StoreTold.
func (r *Replica) Told(epoch string, n uint64) {
	if epoch == r.epoch {
		r.told = min(max(r.told, n), r.stored.events.Total)
	}
}

// StoreTold stores what Told has noted, unless it is stored. It reports what Touch does.
func (r *Replica) StoreTold(ctx context.Context) (another bool, err error) {
	if r.rev == 0 || r.unsettled != nil || r.told <= r.stored.events.Told {
		return false, nil
	}
	return r.storeAnew(ctx, r.stored.used)
}

// Stands reports whether the state may have events that go on; see [apps.Stander].
func (r *Replica) Stands() bool {
	_, ok := r.state.(apps.Stander)
	return ok
}

// Standing returns the events that a claim is told at once. The state is that of the last
// commit.
func (r *Replica) Standing(claim string) []apps.Event {
	stander, ok := r.state.(apps.Stander)
	if !ok {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			r.report(fmt.Errorf("panic on telling what stands: %v\n%s", p, debug.Stack()))
		}
	}()
	return r.nameEvents(stander.Standing(claim))
}
