package hub

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
)

// The kinds of messages of the subprotocol json, as they stand in their field
// type.
const (
	kindState  = "state"
	kindReply  = "reply"
	kindUpdate = "update"
	kindEvent  = "event"
	kindError  = "error"
)

// jsonProtocol is the subprotocol whose messages are JSON objects.
const jsonProtocol = "json"

// json tells in which of its two languages a body is said to m.
func (m *Member) json() bool { return m.subprotocol == jsonProtocol }

// encode returns the payload of a message. The state's epoch and version are
// added to JSON.
func encode(kind string, inJSON bool, s shown, version uint64, b apps.Body) []byte {
	if !inJSON {
		return b.Text
	}
	p := make([]byte, 0, 64+len(b.JSON))
	p = append(p, `{"type":"`...)
	p = append(p, kind...)
	p = append(p, `","epoch":"`...)
	p = append(p, s.epoch...)
	p = append(p, `","version":`...)
	p = strconv.AppendUint(p, version, 10)
	return appendFields(p, b.JSON)
}

// appendFields goes on with the fields of a JSON object, and closes it.
func appendFields(dst, object []byte) []byte {
	fields := bytes.TrimSpace(object)
	fields = bytes.TrimSpace(bytes.TrimPrefix(fields, []byte("{")))
	if len(fields) <= 1 {
		return append(dst, '}')
	}
	return append(append(dst, ','), fields...)
}

func (m *Member) sendError(err error) {
	m.Send(apps.Message{Data: encodeError(m.json(), err)})
}

func encodeError(inJSON bool, err error) []byte {
	if !inJSON {
		return []byte("error: " + err.Error())
	}
	text, _ := json.Marshal(err.Error()) // a string always can be
	return append(append([]byte(`{"type":"error","error":`), text...), '}')
}

// answer tells everybody what came of a batch: the senders their replies, then
// everybody the final state and the events.
func (r *Room) answer(batch []operation, results []result, now shown) {
	senders := gather(batch)
	for i, op := range batch {
		op.from.reply(results[i], now)
	}
	r.announce(newAnnouncement(results, now))
	for _, m := range senders {
		m.turn.taking = false
		if c := m.conn.Load(); c != nil {
			c.Uncork()
		}
	}
}

// gather returns the senders of a batch, each once, and starts to collect what
// they are told.
func gather(batch []operation) []*Member {
	var senders []*Member
	for _, op := range batch {
		m := op.from
		if m.turn.taking {
			continue
		}
		m.turn.taking, m.turn.version = true, 0
		senders = append(senders, m)
		if c := m.conn.Load(); c != nil {
			c.Cork()
		}
	}
	return senders
}

// reply tells m the result of one of its operations.
func (m *Member) reply(res result, now shown) {
	switch {
	case res.panicked:
		return
	case res.err != nil:
		m.sendError(res.err)
		return
	}
	m.turn.version = res.version
	if p := encode(kindReply, m.json(), now, res.version, res.outcome.Reply); len(p) > 0 {
		m.Send(apps.Message{Data: p})
	}
}

// announcement is what everybody is told of a commit, encoded once in each
// language that somebody speaks.
type announcement struct {
	now     shown
	results []result
	update  *apps.Body // the last one, if there is any
	events  bool

	said [2]struct {
		update, events []byte // frames
		done           bool
	}
}

func newAnnouncement(results []result, now shown) *announcement {
	a := &announcement{now: now, results: results}
	for i := range results {
		if out := &results[i].outcome; results[i].err == nil {
			if !out.Update.Empty() {
				a.update = &out.Update
			}
			a.events = a.events || len(out.Events) > 0
		}
	}
	return a
}

// in returns the frames of the update and the events in a language.
func (a *announcement) in(inJSON bool) (update, events []byte) {
	s := &a.said[0]
	if inJSON {
		s = &a.said[1]
	}
	if s.done {
		return s.update, s.events
	}
	s.done = true
	if a.update != nil {
		s.update = appendText(nil, encode(kindUpdate, inJSON, a.now, a.now.version, *a.update))
	}
	for _, res := range a.results {
		for _, event := range res.outcome.Events {
			s.events = appendText(s.events, encode(kindEvent, inJSON, a.now, res.version, event))
		}
	}
	return s.update, s.events
}

func appendText(dst, payload []byte) []byte {
	if len(payload) == 0 {
		return dst
	}
	return frames.AppendMessage(dst, frames.Text, payload)
}

// announce sends the announcement to the members that settle chose, and to the
// senders among them only what their replies have not told.
func (r *Room) announce(a *announcement) {
	if a.update == nil && !a.events {
		return
	}
	for _, m := range r.crowd {
		update, events := a.in(m.json())
		if m.turn.taking && m.turn.version == a.now.version {
			update = nil
		}
		c := m.conn.Load()
		if len(update) > 0 {
			c.Update(update)
		}
		if len(events) > 0 {
			c.Write(events)
		}
	}
}
