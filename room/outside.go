package room

import (
	"context"
	"slices"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// outside is the events of a room that are to be told outside of it: to the log, and to
// those who watch all rooms. They wait for one that takes them, see Shared.HasNews; what it
// has taken is stored soon after. Until that is so the room stays in memory. Events that
// were committed and not told when a process ended are told by the next one that has the
// room in memory. So each is told at least once, unless too much waits.
//
// The process that commits an event tells it, and what it stores then shows the others that
// it has. They hold the event back until they see that, and tell it only if nothing of the
// kind is stored for a while; see held.go.
//
// All of it is guarded by Room.mu.
type outside struct {
	epoch   string  // of the room's life that what follows is of
	noted   uint64  // how many of its events are told, wait, are held back or were dropped
	told    uint64  // how many are told or were dropped, from the first on
	stored  uint64  // the same, as far as is stored
	telling *untold // that Untold has returned
	waiting []untold
	held    heldEvents
	taken   bool // Shared.HasNews was called, and Untold is yet to say that there is no more
	storing bool // told is about to be stored
	failed  bool // storing it has failed, last
	left    bool // something was left to other processes: told does not grow any more
}

// untold is an event that waits.
type untold struct {
	event replica.Event
	epoch string
	count uint64    // of the events of its epoch, with it
	until time.Time // how long it is held back at least, if it is

	coming bool   // it is that a person has come or left: no event of the app
	id     string // names that person, if it is no user
}

const (
	// maxUntold bounds what waits to be told outside, of all rooms of a hub: it is
	// bytes of events, each of which counts for some more.
	maxUntold      = 16 << 20
	untoldOverhead = 256

	// toldPause is how long a commit is waited for that stores what was told.
	toldPause = time.Second
	// toldRetry is that time if storing it has failed.
	toldRetry = 10 * time.Second
)

// News is an event of a room, as it is told outside.
type News struct {
	Route string // name of the route that the room is of
	App   string
	Room  string // its name, as people write it
	Name  string // of the event
	ID    string // "<epoch>-<version>-<number>": no other event has it
	Body  apps.Body

	Coming bool // that somebody has come or left: Name is "joined" or "left", and ID that of the connection of somebody who is no user
}

func (u *untold) size() int64 {
	return int64(untoldOverhead + len(u.event.Body.Text) + len(u.event.Body.JSON))
}

// handOut has events told outside, which are the last ones of those that have happened so
// far, and those before them that are not noted yet, as far as they are kept.
func (r *Room) handOut(now snapshot, happened []happening) {
	if now.events.Total == 0 {
		return
	}
	r.mu.Lock()
	o := r.needOutside(now)
	o.noteStored(r.shared, now.events.Told)
	dropped := o.note(r.shared, now, happened)
	r.noteTold()
	call := o.next() != nil && !o.taken
	if call {
		o.taken = true
		r.Retain()
	} else {
		r.watchHeld()
	}
	r.mu.Unlock()
	if call {
		r.shared.HasNews(r)
	}
	if dropped > 0 {
		r.shared.noteDropped(r.DisplayName(), dropped)
	}
}

// needOutside returns what is known of the events of a life of the room. mu is held.
func (r *Room) needOutside(now snapshot) *outside {
	if r.outside == nil {
		r.outside = &outside{held: newHeldEvents()}
	}
	if o := r.outside; o.epoch != now.epoch {
		told := now.events.Told
		o.epoch, o.noted, o.told, o.stored = now.epoch, told, told, told
	}
	return r.outside
}

// note has the events wait that are not noted, and returns how many found no place. Those
// that another process has committed, or may have, are held back.
func (o *outside) note(s *Shared, now snapshot, happened []happening) (dropped int) {
	total := now.events.Total
	before := total - min(uint64(len(happened)), total)
	if total <= o.noted {
		return 0
	}
	missing, found := int(total-o.noted), 0
	kept := now.events.AfterFirst(o.noted)
	for i := range kept {
		if count := total - uint64(len(kept)-i-1); count <= before {
			found += o.add(s, untold{event: kept[i], epoch: now.epoch, count: count}, true)
		}
	}
	for i := range happened {
		if count := before + uint64(i) + 1; count > o.noted {
			found += o.add(s, untold{event: happened[i].Event, epoch: now.epoch, count: count}, happened[i].foreign)
		}
	}
	o.noted = total
	return missing - found
}

// add adds an event to those that wait or are held back, and returns 1, or 0 if there is no
// place.
func (o *outside) add(s *Shared, u untold, foreign bool) (added int) {
	if s.untold.Add(u.size()) > maxUntold {
		s.untold.Add(-u.size())
		return 0
	}
	if foreign && s.HasOthers() {
		o.held.add(u)
	} else {
		o.waiting = append(o.waiting, u)
	}
	return 1
}

// next returns the event that is to be told next, or nil.
func (o *outside) next() *untold {
	switch {
	case o.telling != nil:
		return o.telling
	case len(o.waiting) > 0:
		return &o.waiting[0]
	}
	if len(o.held.events) > 0 && !time.Now().Before(o.heldUntil()) {
		return &o.held.events[0]
	}
	return nil
}

// take returns what next does, and has it be told.
func (o *outside) take() *untold {
	u := o.next()
	if u == nil || u == o.telling {
		return u
	}
	o.telling = new(*u)
	if len(o.waiting) > 0 {
		o.waiting = withoutFirst(o.waiting)
	} else {
		o.held.events = withoutFirst(o.held.events)
	}
	return o.telling
}

// withoutFirst returns the other events, and nil if there are none.
func withoutFirst(events []untold) []untold {
	events[0] = untold{}
	if len(events) == 1 {
		return nil
	}
	return events[1:]
}

// Untold returns the event that is to be told outside next, the same one until Told is called.
// If there is none, HasNews is called again for the next one, and the caller, who has been
// called so, is to release the room.
func (r *Room) Untold() (news News, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.outside.take()
	if u == nil {
		r.outside.taken = false
		r.watchHeld()
		return News{}, false
	}
	return News{
		Route:  r.route.Name,
		App:    r.key.App,
		Room:   displayName(r.key.Room),
		Name:   u.event.Name,
		ID:     u.newsID(),
		Body:   u.event.Body,
		Coming: u.coming,
	}, true
}

func (u *untold) newsID() string {
	if u.coming {
		return u.id
	}
	m := message.Message{Kind: message.Event, At: message.Point{Epoch: u.epoch, Version: u.event.Version}, Number: u.event.Number}
	return m.EventID()
}

// Told notes that the event that Untold has returned is told.
func (r *Room) Told() {
	r.mu.Lock()
	rt, told := r.route, r.outside.telling
	r.outside.telling = nil
	r.shared.untold.Add(-told.size())
	r.noteTold()
	r.mu.Unlock()
	if !told.coming {
		countAlert(rt, told.event.Event)
	}
}

// noteTold notes how many events are told, from the first on, and has that stored. mu is
// held.
func (r *Room) noteTold() {
	o := r.outside
	told := o.settled()
	grown := told > o.told
	o.told = max(o.told, told)
	again := r.shared.HasOthers() && !r.shared.isClosing() // another process may have been first
	if o.told > o.stored && !o.storing && (grown || again) {
		r.storeToldSoon()
	}
}

// storeToldSoon has it stored how much is told. mu is held.
func (r *Room) storeToldSoon() {
	pause := toldPause
	if r.outside.failed {
		pause = toldRetry
	}
	r.outside.storing = true
	r.Retain()
	r.shared.Go(func() { r.storeToldLater(pause) })
}

// settled returns how many events of this life are told or were dropped, from the first on.
// As long as some of an earlier life wait that is not found out.
func (o *outside) settled() uint64 {
	if o.left {
		return o.told
	}
	told := o.noted
	for _, first := range []*untold{o.telling, firstEvent(o.waiting), firstEvent(o.held.events)} {
		switch {
		case first == nil || first.coming:
		case first.epoch != o.epoch:
			return o.told
		default:
			told = min(told, first.count-1)
		}
	}
	return told
}

// firstEvent returns the first event of the app, or nil if there is none.
func firstEvent(all []untold) *untold {
	i := slices.IndexFunc(all, func(u untold) bool { return !u.coming })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// LeaveUntold leaves what waits to the next process: nobody is there to be told.
func (r *Room) LeaveUntold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.outside
	o.left = true
	if o.telling != nil {
		r.shared.untold.Add(-o.telling.size())
	}
	for _, events := range [][]untold{o.waiting, o.held.events} {
		for i := range events {
			r.shared.untold.Add(-events[i].size())
		}
	}
	o.telling, o.waiting, o.held.events = nil, nil, nil
}

// storeToldLater has it stored how much is told, unless a commit does meanwhile.
func (r *Room) storeToldLater(pause time.Duration) {
	defer r.Release()
	r.shared.sleep(pause)
	r.take(func(c *chores) { c.told = true })
}

// storeTold stores how much is told.
func (r *Room) storeTold(ctx context.Context) {
	r.mu.Lock()
	r.outside.storing = false
	r.mu.Unlock()
	another, err := r.replica.StoreTold(ctx)
	r.mu.Lock()
	r.outside.failed = err != nil
	r.mu.Unlock()
	r.stored(another, err)
}
