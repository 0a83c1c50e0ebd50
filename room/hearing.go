package room

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/presence"
	"github.com/caddyws/caddy-websocket/replica"
)

// Other processes may have the same room in memory. An engine that is engines.Shared tells
// what they do in it: what they store, and what is published there. See speaking.go for what
// they are told.
//
// A room that keeps something hears from before its state is loaded until it leaves memory.
// What others store is read in a turn, and told to all members if it is another state. A room
// that keeps nothing hears from its first member on. It goes on without others where they
// cannot be heard, and then tries again (deaf.go).

// listenPatience is how long a member of a room that keeps nothing waits until others are
// heard.
const listenPatience = 500 * time.Millisecond

// errDeaf is of an engine that cannot be reached.
var errDeaf = errors.New("the engine is not open")

// Listen has a room that keeps nothing hear what is published in it elsewhere. It returns
// when that is so, unless it takes long. The caller has a reference.
func (r *Room) Listen(ctx context.Context) {
	if r.Stores() || !r.shared.Sharing || r.listens.Load() {
		return
	}
	r.listening.Lock() // others wait for the first one
	defer r.listening.Unlock()
	if r.listens.Load() {
		return
	}
	defer r.listens.Store(true)
	ctx, cancel := r.shared.bound(ctx, listenPatience)
	defer cancel()
	if r.shared.deaf.any() || r.subscribe(ctx) != nil {
		r.shared.listenLater(r)
	}
}

// listen has a room that keeps something hear of what others do in it. It is called before
// the state is read, so that nothing comes between.
func (r *Room) listen(ctx context.Context) error {
	if !r.shared.HasOthers() || r.listens.Load() {
		return nil
	}
	err := r.subscribe(ctx)
	r.listens.Store(err == nil)
	return err
}

// catchUpWithOthers is for what was told while the state was loaded. If that was nothing, no
// turn is taken: it would keep the room from being forgotten.
func (r *Room) catchUpWithOthers() {
	r.mu.Lock()
	heard := r.heard.Rev > 0 || r.heard.Last > 0
	r.mu.Unlock()
	if heard {
		r.take(func(c *chores) { c.refresh = true })
	}
}

// subscribe has the engine tell what others do, until the room leaves memory.
func (r *Room) subscribe(ctx context.Context) error {
	o := r.shared.others.Load()
	if o == nil {
		return errDeaf
	}
	ignore, err := r.callSubscribe(ctx, o.engine)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ignore = ignore; r.retired {
		r.ignoreOthers()
	}
	return nil
}

// callSubscribe makes a panic of the engine an error.
func (r *Room) callSubscribe(ctx context.Context, engine engines.Shared) (ignore func(), err error) {
	defer func() {
		if p := recover(); p != nil {
			r.reportPanic(p)
			err = errEnginePanic
		}
	}()
	return engine.Subscribe(ctx, r.key, r.hear)
}

// errEnginePanic is of a call of the engine that has panicked.
var errEnginePanic = errors.New("panic of the engine")

// ignoreOthers ends what subscribe has begun. mu is held, so it does not wait.
func (r *Room) ignoreOthers() {
	if ignore := r.ignore; ignore != nil {
		r.shared.Go(func() {
			defer r.catch()
			ignore()
		})
	}
}

// hear is told what other processes do. It does not wait. A panic is not the engine's.
func (r *Room) hear(event engines.Event) {
	defer r.catch()
	switch {
	case event.Cut:
		r.askForPeople()
	case presence.IsList(event.Message):
		r.hearPeople(event.Message)
	case event.Message != nil:
		r.hearMessages(event.Message)
	case r.Stores():
		r.mu.Lock()
		r.note(event)
		r.mu.Unlock()
		r.take(func(c *chores) { c.refresh, c.reread = true, c.reread || event.Lost })
	}
}

// note notes what others have stored. mu is held.
func (r *Room) note(event engines.Event) {
	r.heard.Rev = max(r.heard.Rev, event.Rev)
	switch event.Epoch {
	case "":
	case r.heard.Epoch:
		r.heard.Last = max(r.heard.Last, event.Last)
	default:
		r.heard.Epoch, r.heard.Last = event.Epoch, event.Last
	}
}

// hearMessages has the members told what is published elsewhere. Its publishers cannot be held
// up: what is too much is lost.
func (r *Room) hearMessages(relayed []byte) {
	all, err := message.ParseRelayed(relayed)
	if err != nil {
		r.shared.warn("what another process says is not understood", r.key, err)
		return
	}
	for _, said := range all {
		r.trace(Published, nil, said.Text, said.Binary)
	}
	if !r.deliver(all, len(relayed)) {
		r.shared.warn("messages of other processes are lost", r.key, errTooMuch)
		return
	}
	r.kickAside()
}

// errTooMuch is of more than may wait.
var errTooMuch = errors.New("too much waits")

// deliver queues messages of others for the members, unless too much of that waits already.
func (r *Room) deliver(all []message.Message, size int) (fits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.retired, r.Stores() && r.last.epoch == "": // nobody is there
		return true
	case r.outbox.heard+size > maxRoomBytes:
		return false
	}
	r.outbox.heard += size
	for _, said := range all {
		r.outbox.messages.Add(said)
	}
	r.engage()
	return true
}

// rereadPatience is how long a visitor waits until the state is read that it may have seen.
const rereadPatience = 2 * time.Second

// errLate is of what is still being read.
var errLate = errors.New("reading what is stored takes long")

// CatchUpWith has what is stored read if a visitor has seen what is not known here: another
// process may have told it, which is heard of here a moment later. If that fails in a room that
// keeps messages, the error wraps ErrUnavailable: the visitor would be told of a gap that there
// is not, and messages twice. The room is loaded.
func (r *Room) CatchUpWith(ctx context.Context, seen Seen) error {
	if !seen.said || !r.Stores() || !r.shared.HasOthers() || r.knows(seen) {
		return nil
	}
	err := errLate
	if r.takeAndWait(ctx, func(c *chores) { c.reread = true }, rereadPatience) {
		r.mu.Lock()
		err = r.unread
		r.mu.Unlock()
	}
	if err == nil || !r.keeps || r.knows(seen) {
		return nil
	}
	return fmt.Errorf("%w: a visitor has seen what is not known here: %w", ErrUnavailable, err)
}

// knows reports whether the room is known up to what was seen.
func (r *Room) knows(seen Seen) bool {
	now := r.current()
	return seen.epoch == now.epoch && seen.place.Version <= now.version
}

// lookAgain has what is stored read when messages that are known are missing there, and
// reports whether the room is another one now than it was.
func (r *Room) lookAgain(ctx context.Context, was snapshot) (another bool) {
	r.takeAndWait(ctx, func(c *chores) { c.reread = true }, rereadPatience)
	now := r.current()
	return now.epoch != was.epoch || now.version != was.version
}

// reread makes the state what is stored.
func (r *Room) reread(ctx context.Context) {
	another, err := r.replica.Reread(ctx)
	r.mu.Lock()
	r.unread = err
	r.mu.Unlock()
	if err != nil {
		r.refreshLater()
	}
	if errors.Is(err, replica.ErrOlder) { // which passes, or is reported then
		err = nil
	}
	r.stored(another, err)
}

// refresh makes the state what other processes have stored, as far as was heard of it.
func (r *Room) refresh(ctx context.Context) {
	r.mu.Lock()
	heard := r.heard
	r.mu.Unlock()
	another, err := r.replica.Refresh(ctx, heard.Rev)
	if err == nil && heard.Epoch != "" {
		var more bool
		more, err = r.replica.Advance(ctx, heard.Epoch, heard.Last)
		another = another || more
		r.forget(heard, err)
	}
	r.stored(another, err)
	if err != nil {
		r.refreshLater()
	}
}

// forget forgets what was heard of a log, once it is read, unless more was heard since.
func (r *Room) forget(heard engines.Event, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.heard.Epoch == heard.Epoch && r.heard.Last == heard.Last {
		r.heard.Epoch, r.heard.Last = "", 0
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
		r.take(func(c *chores) { c.refresh, c.reread = true, true })
	})
}
