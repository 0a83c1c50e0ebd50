package hub

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/socket"
)

// JSON is the subprotocol whose messages from the server are JSON objects.
const JSON = "json"

// language is how a member is spoken to.
type language uint8

const (
	languageText   language = iota // plain text
	languageJSON                   // the subprotocol json
	languageEvents                 // Server-Sent Events, with the text as their data
	languages
)

// The kinds of messages, as they stand in the field type of JSON.
const (
	kindState  = "state"
	kindReply  = "reply"
	kindUpdate = "update"
	kindEvent  = "event"
)

// encode returns the payload of a message. The state's epoch and version are
// added to JSON.
func encode(kind string, l language, s shown, version uint64, b apps.Body) []byte {
	if l != languageJSON {
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

// run returns a message as it goes over the connection: a frame, or an event.
// Nothing to say is nil. Those of an operation's events count from 1, states are
// 0.
func (l language) run(kind string, s shown, version uint64, number int, b apps.Body) []byte {
	payload := encode(kind, l, s, version, b)
	switch {
	case len(payload) == 0:
		return nil
	case l != languageEvents:
		return frames.AppendMessage(nil, frames.Text, payload)
	}
	event := socket.Event{ID: stateID(s.epoch, version), Data: payload}
	if number > 0 { // the state follows: whoever comes back with this ID has not seen it
		event.ID += "-" + strconv.Itoa(number)
		event.Name = kindEvent
	}
	return event.Append(nil)
}

// messages returns published messages, which come as frames, in the form of
// the connection.
func (l language) messages(run []byte) *socket.Run {
	if l == languageEvents {
		run = socket.EventsOf(run)
	}
	return socket.NewRun(run)
}

// sendError tells m why what it asked for is not done.
func (m *Member) sendError(err error) {
	payload := encodeError(m.language, err)
	if a, ok := m.port.(*answer); ok {
		a.refuse(err, payload)
		return
	}
	m.port.Send(payload, false)
}

func encodeError(l language, err error) []byte {
	if l != languageJSON {
		return []byte("error: " + err.Error())
	}
	text, _ := json.Marshal(err.Error()) // a string always can be
	return append(append([]byte(`{"type":"error","error":`), text...), '}')
}
