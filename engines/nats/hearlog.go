package nats

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
)

// appended is up to where it was told what was added to a log.
type appended struct {
	epoch string
	last  uint64
}

// advance goes on to a position, and reports whether that is beyond what was told.
func (a *appended) advance(epoch string, last uint64) bool {
	if epoch == a.epoch && last <= a.last {
		return false
	}
	*a = appended{epoch, last}
	return true
}

// keep notes the subject of the log that a room has, and a position that it has reached, if
// somebody listens to it.
func (h *hearing) keep(key engines.Key, log string, last uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.rooms[key]
	if l == nil {
		return
	}
	if l.log != log && l.log != "" && last == 0 { // it may be of a life that is over
		return
	}
	if l.log != log {
		l.log, l.reached = log, 0
	}
	l.reached = max(l.reached, last)
}

// knowAppended notes that entries up to a position need not be told: this node has added them,
// behind what it knew.
func (h *hearing) knowAppended(key engines.Key, epoch string, last uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.rooms[key]; l != nil {
		l.appended.advance(epoch, last)
	}
}

// hearAppended tells of entries that were added to a log.
func (e *Engine) hearAppended(key engines.Key, m *nats.Msg) {
	b, _, err := parseBatchHeader(m.Header)
	token := m.Header.Get(jetstream.SubjectHeader)
	epoch, ok := parseToken(token[strings.LastIndexByte(token, '.')+1:])
	if err != nil || !ok || b.last() == 0 {
		return
	}
	by := m.Header.Get(nodeHeader)
	if by == e.node && b.count > 0 { // that entries were removed says nothing of who has added the last one
		e.hearing.knowAppended(key, epoch, b.last())
		return
	}
	e.hearing.tell(key, engines.Event{Epoch: epoch, Last: b.last()})
	e.hearing.endTurnOf(key, by)
}

// mistrust has all logs looked up at the next check.
func (h *hearing) mistrust() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.rooms {
		l.unsure = true
	}
}

// checkLogs tells what was added to logs since others were told. One question is enough if
// nothing was added to any log since all of them were looked up. If there are more than can be
// looked up in time, the rest is next.
func (e *Engine) checkLogs(ctx context.Context) error {
	logs, all := e.hearing.unsureLogs()
	count := len(logs)
	if count == 0 {
		return nil
	}
	now, err := e.extentOfLogs(ctx)
	if err == nil && (now.Last == 0 || now.Last != e.logSeen) { // one that is empty may have lost all
		err = e.checkEach(ctx, logs)
	}
	switch {
	case err == nil && all:
		e.logSeen = now.Last
	case err != nil:
		e.hearing.doubt(logs)
		if ctx.Err() != nil && len(logs) < count {
			e.hearing.look()
			return nil
		}
	}
	return err
}

// extentOfLogs returns how far the stream of the logs goes. If that is less than it once was
// nothing is known of any log.
func (e *Engine) extentOfLogs(ctx context.Context) (extent, error) {
	now, err := e.logs.extent(ctx)
	switch {
	case errors.Is(err, errReplaced):
		e.retire(err)
	case err == nil && now.Last < e.logSeen:
		logger().Error("NATS has lost the newest messages of rooms: its servers were restored, or have lost what they had acknowledged",
			zap.String("stream", e.logs.name), zap.Uint64("sequence", now.Last), zap.Uint64("was", e.logSeen))
		e.known.reset()
		e.logSeen = 0
		e.hearing.mistrust() // those that are not looked up now
		e.hearing.look()
	}
	return now, err
}

// checkLimit is how many logs are looked up at once.
const checkLimit = 16

// checkEach looks up logs until ctx ends. Those that are done it removes. One that cannot be
// looked up does not keep it from the others.
func (e *Engine) checkEach(ctx context.Context, logs map[engines.Key]string) (err error) {
	var (
		work   sync.WaitGroup
		places = make(chan struct{}, checkLimit)
		mu     sync.Mutex // guards logs and err
	)
	for key, subject := range maps.Clone(logs) {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		work.Go(func() {
			defer func() { <-places }()
			failed := e.checkLog(ctx, key, subject)
			mu.Lock()
			defer mu.Unlock()
			if failed == nil {
				delete(logs, key)
			} else {
				err = failed
			}
		})
	}
	work.Wait()
	return cmp.Or(err, ctx.Err())
}

// checkLog has it told, in the order of all events, up to where a log goes, and before that if
// it once went further.
func (e *Engine) checkLog(ctx context.Context, key engines.Key, log string) error {
	reached := e.hearing.reached(key, log)
	newest, err := e.newest(ctx, log)
	if err != nil {
		return err
	}
	room := log[len(e.logs.rooms):strings.LastIndexByte(log, '.')]
	if newest.last() < reached {
		e.announceLoss(room)
	}
	if newest.seq == 0 {
		return nil
	}
	h := newest.header(log, "")
	h[jetstream.SubjectHeader] = []string{log}
	e.announce(&nats.Msg{Subject: e.prefix + "." + appendedToken + "." + room, Header: h})
	return nil
}

// hearLost tells that a log seems to have lost entries. What it has is told anew.
func (h *hearing) hearLost(key engines.Key) {
	h.mu.Lock()
	if l := h.rooms[key]; l != nil {
		l.appended, l.reached = appended{}, 0
	}
	h.mu.Unlock()
	h.tell(key, engines.Event{Lost: true})
}

// reached returns a position that a log once had, if it is still that of its room.
func (h *hearing) reached(key engines.Key, log string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.rooms[key]; l != nil && l.log == log {
		return l.reached
	}
	return 0
}

// unsureLogs takes the logs that are to be looked up, and reports whether these are all that
// somebody listens to. What is mistrusted from now on is to be looked up again.
func (h *hearing) unsureLogs() (logs map[engines.Key]string, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	logs, all = make(map[engines.Key]string), true
	for key, l := range h.rooms {
		switch {
		case l.log == "":
		case l.unsure:
			logs[key], l.unsure = l.log, false
		default:
			all = false
		}
	}
	return logs, all
}

// doubt notes that logs which were taken could not be looked up.
func (h *hearing) doubt(logs map[engines.Key]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key := range logs {
		if l := h.rooms[key]; l != nil {
			l.unsure = true
		}
	}
}
