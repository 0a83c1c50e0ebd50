package room

import (
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
// All of it is guarded by Room.mu.
type outside struct {
	epoch   string // of the room's life that what follows is of
	noted   uint64 // how many of its events are told, wait or were dropped
	told    uint64 // how many are told or were dropped
	waiting []untold
	taken   bool // Shared.HasNews was called, and Untold is yet to say that there is no more
	storing bool // told is about to be stored
}

// untold is an event that waits.
type untold struct {
	event replica.Event
	epoch string
	count uint64 // of the events of its epoch, with it

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
	dropped := o.note(r.shared, now, happened)
	call := len(o.waiting) > 0 && !o.taken
	if call {
		o.taken = true
		r.Retain()
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
		r.outside = new(outside)
	}
	if o := r.outside; o.epoch != now.epoch {
		o.epoch, o.noted, o.told = now.epoch, now.events.Told, now.events.Told
	}
	return r.outside
}

// note has the events wait that are not noted, and returns how many found no place.
func (o *outside) note(s *Shared, now snapshot, happened []happening) (dropped int) {
	total := now.events.Total
	before := total - min(uint64(len(happened)), total)
	missing, waiting := total-o.noted, len(o.waiting)
	kept := now.events.AfterFirst(o.noted)
	for i := range kept {
		if count := total - uint64(len(kept)-i-1); count <= before {
			o.add(s, untold{event: kept[i], epoch: now.epoch, count: count})
		}
	}
	for i := range happened {
		if count := before + uint64(i) + 1; count > o.noted {
			o.add(s, untold{event: happened[i].Event, epoch: now.epoch, count: count})
		}
	}
	o.noted = total
	return int(missing) - (len(o.waiting) - waiting)
}

// add adds an event to those that wait, and reports whether there was place.
func (o *outside) add(s *Shared, u untold) (fits bool) {
	if s.untold.Add(u.size()) > maxUntold {
		s.untold.Add(-u.size())
		return false
	}
	o.waiting = append(o.waiting, u)
	return true
}

// Untold returns the oldest event that waits to be told outside. If there is none, HasNews is
// called again for the next one, and the caller, who has been called so, is to release the
// room.
func (r *Room) Untold() (news News, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.outside
	if len(o.waiting) == 0 {
		o.taken = false
		return News{}, false
	}
	u := &o.waiting[0]
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
	rt, told := r.route, r.noteTold()
	r.mu.Unlock()
	if !told.coming {
		countAlert(rt, told.event.Event)
	}
}

// noteTold notes that the oldest event that waits is told, and has that stored if it is one of
// the app. mu is held.
func (r *Room) noteTold() untold {
	o := r.outside
	u := o.waiting[0]
	r.shared.untold.Add(-u.size())
	o.waiting[0] = untold{}
	if o.waiting = o.waiting[1:]; len(o.waiting) == 0 {
		o.waiting = nil
	}
	if u.coming {
		return u
	}
	if u.epoch == o.epoch {
		o.told = u.count
	}
	if !o.storing {
		o.storing = true
		r.Retain()
		r.shared.Go(r.storeToldSoon)
	}
	return u
}

// LeaveUntold leaves what waits to the next process: nobody is there to be told.
func (r *Room) LeaveUntold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.outside.waiting {
		r.shared.untold.Add(-r.outside.waiting[i].size())
	}
	r.outside.waiting = nil
}

// storeToldSoon has it stored how much is told, unless a commit does meanwhile.
func (r *Room) storeToldSoon() {
	defer r.Release()
	r.shared.sleep(toldPause)
	r.take(func(c *chores) { c.told = true })
}

// storeTold stores how much is told.
func (r *Room) storeTold() {
	r.mu.Lock()
	r.outside.storing = false
	r.mu.Unlock()
	r.stored(r.replica.StoreTold(r.shared.Context))
}
