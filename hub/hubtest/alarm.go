package hubtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyws/caddy-websocket/apps"
)

// AlarmApp is a stateful app whose messages are operations of [Alarms]. It speaks the
// subprotocol json.
type AlarmApp struct{ Faults *Faults }

// NewAlarmApp returns one without faults.
func NewAlarmApp() *AlarmApp { return &AlarmApp{new(Faults)} }

// Inline marks an app that does not block.
func (*AlarmApp) Inline() {}

// Subprotocols returns json.
func (*AlarmApp) Subprotocols() []string { return []string{"json"} }

// NewState returns a state without alarms.
func (a *AlarmApp) NewState() apps.State {
	return &Alarms{faults: a.Faults, Goes: make(map[string]string)}
}

// Receive applies a message, an object with the field do or the command itself.
func (*AlarmApp) Receive(c apps.Conn, m apps.Message) error {
	var object struct{ Do string }
	if json.Unmarshal(m.Data, &object) == nil {
		m.Data = []byte(object.Do)
	}
	c.Room().Apply(c, m.Data)
	return nil
}

// OpenApp is an AlarmApp that acts in its rooms by itself.
type OpenApp struct {
	*AlarmApp
	OnOpen func(apps.OpenRoom)
}

// Open calls OnOpen.
func (a *OpenApp) Open(r apps.OpenRoom) { a.OnOpen(r) }

// Alarms is a state that counts its operations, and alarms that go on. The commands are
//
//	claim <name>
//	raise <to> <text>   an event that goes on
//	clear <to>          its end
//	tell <to> <text>    an event that is over at once
//	name <name>         an event of another name
//	own <name> <text>   claim and raise in one
//
// where to is all, me or a name that is claimed.
type Alarms struct {
	faults *Faults
	N      int
	Goes   map[string]string // by whom they are for
}

// Apply carries out a command.
func (s *Alarms) Apply(op apps.Op) (out apps.Outcome, err error) {
	words := append(strings.SplitN(string(op.Data), " ", 3), "", "")
	s.N++
	out = apps.Outcome{Reply: s.View(), Update: s.View()}
	switch to, text := words[1], words[2]; words[0] {
	case "claim":
		out.Claim = to
	case "own":
		out.Claim = to
		s.Goes[to] = text
		out.Events = []apps.Event{alarm(to, text)}
	case "raise":
		s.Goes[to] = text
		out.Events = []apps.Event{alarm(to, text)}
	case "clear":
		delete(s.Goes, to)
		out.Events = []apps.Event{alarm(to, "over")}
	case "tell":
		out.Events = []apps.Event{alarm(to, text)}
	case "name":
		e := alarm("all", "named")
		e.Name = to
		out.Events = []apps.Event{e}
	}
	return out, nil
}

func alarm(to, text string) apps.Event {
	e := apps.Event{Name: "alert", Body: apps.Body{Text: []byte(to + " " + text), JSON: fmt.Appendf(nil, `{"to":%q,"text":%q}`, to, text)}}
	switch to {
	case "all":
	case "me":
		e.To = apps.ToSender()
	default:
		e.To = apps.ToClaim(to)
	}
	return e
}

// Standing returns the alarm that goes on for a claim.
func (s *Alarms) Standing(claim string) []apps.Event {
	s.faults.Hit("Standing")
	text, ok := s.Goes[claim]
	if !ok {
		return nil
	}
	return []apps.Event{alarm(claim, text)}
}

// View is the number of operations.
func (s *Alarms) View() apps.Body {
	return apps.Body{Text: fmt.Append(nil, s.N), JSON: fmt.Appendf(nil, `{"n":%d}`, s.N)}
}

// MarshalBinary returns the state as JSON.
func (s *Alarms) MarshalBinary() ([]byte, error) { return json.Marshal(s) }

// UnmarshalBinary reads it.
func (s *Alarms) UnmarshalBinary(p []byte) error { return json.Unmarshal(p, s) }
