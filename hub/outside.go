package hub

import (
	"sync"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/room"
)

// teller tells the events of all rooms outside: it writes a line to the log for each, and
// hands it to whoever watches. One goroutine does so, which lives while there is something
// to tell: a watcher may take its time, and no room waits for it. The rooms keep what
// waits, within bounds; see package room.
type teller struct {
	hub *Hub

	mu sync.Mutex
	// Guarded by mu.
	watch   func(room.News) bool // nil: nobody watches
	rooms   []*room.Room         // that have something to tell, each once and with a reference
	running bool
	resumed bool // since next was called
}

// Watch has all events of rooms told to watch, one after another and by one goroutine. If
// watch returns false the event is not told: it is tried again after the next Begin, or
// when another event comes. After a crash some are told again. It is called before anybody
// enters.
func (h *Hub) Watch(watch func(room.News) (told bool)) {
	h.teller.mu.Lock()
	defer h.teller.mu.Unlock()
	h.teller.watch = watch
}

// add has the events of a room told. The reference to it is the teller's.
func (t *teller) add(r *room.Room) {
	t.mu.Lock()
	t.rooms = append(t.rooms, r)
	t.mu.Unlock()
	t.resume()
}

// resume has told what waits.
func (t *teller) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resumed = true
	if !t.running && len(t.rooms) > 0 {
		t.running = true
		t.hub.work.Go(t.run)
	}
}

// run tells what waits until nothing does, or it cannot be told now.
func (t *teller) run() {
	for r := t.next(); r != nil; r = t.next() {
		if t.tellAll(r) {
			r.Release()
		} else if !t.putBack(r) {
			return
		}
	}
}

// next returns the next room that has something to tell. If there is none, or putBack says
// so, running is over.
func (t *teller) next() *room.Room {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rooms) == 0 {
		t.rooms, t.running = nil, false
		return nil
	}
	r := t.rooms[0]
	t.rooms, t.resumed = t.rooms[1:], false
	return r
}

// putBack is for a room whose events cannot be told now. It reports whether that may have
// changed meanwhile.
func (t *teller) putBack(r *room.Room) (again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rooms = append(t.rooms, r)
	t.running = t.resumed
	return t.resumed
}

// tellAll tells what waits in a room, and reports whether nothing is left to do about it.
// When the hub closes that which cannot be told is left to the next process.
func (t *teller) tellAll(r *room.Room) (done bool) {
	for {
		news, ok := r.Untold()
		switch {
		case !ok:
			return true
		case t.hub.over.Err() == nil && t.tell(news):
			r.Told()
		case isClosed(t.hub.closing):
			r.LeaveUntold()
			return true
		default:
			return false
		}
	}
}

// tell tells an event, and reports whether it is told. A watcher that panics has been told.
func (t *teller) tell(news room.News) (told bool) {
	defer func() {
		if p := recover(); p != nil {
			t.hub.log().Error("telling an event", zap.Any("panic", p), zap.Stack("stack"))
			told = true
		}
	}()
	t.mu.Lock()
	watch := t.watch
	t.mu.Unlock()
	if watch != nil && !watch(news) {
		return false
	}
	if news.Coming { // the log tells of connections
		return true
	}
	if line := t.hub.log().Check(zap.InfoLevel, "room event"); line != nil {
		line.Write(newsFields(news)...)
	}
	return true
}
