package nats

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// keep notes the subject of the log that a room has, if somebody listens to it.
func (h *hearing) keep(key engines.Key, log string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.rooms[key]; l != nil {
		l.log = log
	}
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
// nothing was added to any log since all of them were looked up.
func (e *Engine) checkLogs(ctx context.Context) error {
	logs, all := e.hearing.unsureLogs()
	if len(logs) == 0 {
		return nil
	}
	now, err := e.logs.extent(ctx)
	if err != nil {
		if errors.Is(err, errReplaced) {
			e.retire(err)
		}
		return err
	}
	if now.Last != e.logSeen {
		for key, subject := range logs {
			if err := e.checkLog(ctx, key, subject); err != nil {
				return err
			}
			e.hearing.trust(key)
		}
	}
	if all {
		e.logSeen = now.Last
	}
	return nil
}

// checkLog has it told, in the order of all events, up to where a log goes.
func (e *Engine) checkLog(ctx context.Context, key engines.Key, log string) error {
	newest, err := e.logs.newest(ctx, log)
	if err != nil || newest.seq == 0 {
		return err
	}
	subject, err := subjectOf(e.prefix+"."+appendedToken+".", key)
	if err != nil {
		return err
	}
	h := newest.header(log, "")
	h[jetstream.SubjectHeader] = []string{log}
	e.announce(&nats.Msg{Subject: subject, Header: h})
	return nil
}

// unsureLogs returns the subjects of the logs that are to be looked up, and whether these are
// all that somebody listens to.
func (h *hearing) unsureLogs() (logs map[engines.Key]string, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	logs, all = make(map[engines.Key]string), true
	for key, l := range h.rooms {
		switch {
		case l.log == "":
		case l.unsure:
			logs[key] = l.log
		default:
			all = false
		}
	}
	return logs, all
}

// trust notes that a log was looked up.
func (h *hearing) trust(key engines.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.rooms[key]; l != nil {
		l.unsure = false
	}
}
