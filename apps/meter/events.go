package meter

import (
	"encoding/json"
	"strconv"

	"github.com/caddyws/caddy-websocket/aggregate"
	"github.com/caddyws/caddy-websocket/apps"
)

// events tells of alerts that have begun or ended.
func (r *rules) events(changes []aggregate.Change) (events []apps.Event) {
	for _, c := range changes {
		events = r.appendEvent(events, c)
	}
	return events
}

// appendEvent appends what is told of a change. An alert for the connections of a key is
// told to nobody where there is no key.
func (r *rules) appendEvent(events []apps.Event, c aggregate.Change) []apps.Event {
	alert := &r.alerts[c.Threshold]
	event := apps.Event{Name: "alert", Body: alert.body(c)}
	if alert.To == toKey {
		if c.Key == "" {
			return events
		}
		event.To = apps.ToClaim(c.Key)
	}
	return append(events, event)
}

// body is what is told of a change: the sentence, and in JSON what led to it as well.
//
//	{"alert":"warning","raised":true,"fold":"max","value":950,"threshold":900,"key":"press-4","message":"…"}
//
// An alert that has ended since no reading counts any more has "gone" and no value.
func (a *Alert) body(c aggregate.Change) apps.Body {
	text := a.sentence(c)
	p := append(make([]byte, 0, 192+2*len(text)), `{"alert":"`...)
	p = append(p, a.Name...)
	p = append(p, `","raised":`...)
	p = strconv.AppendBool(p, c.Raised)
	p = append(append(append(p, `,"fold":"`...), a.Fold...), '"')
	if c.Gone {
		p = append(p, `,"gone":true`...)
	} else {
		p = appendNumber(append(p, `,"value":`...), c.Value)
	}
	p = appendNumber(append(p, `,"threshold":`...), a.threshold().Number)
	if c.Key != "" {
		p = append(append(append(p, `,"key":"`...), c.Key...), '"')
	}
	p = appendString(append(p, `,"message":`...), text)
	return apps.Body{Text: []byte(text), JSON: append(p, '}')}
}

// sentence is what people are told of a change.
func (a *Alert) sentence(c aggregate.Change) string {
	switch {
	case c.Raised:
		return a.say(c.Key, c.Value.String())
	case a.Each && c.Key != "":
		return a.Name + " is over for " + c.Key
	}
	return a.Name + " is over"
}

// appendString appends a text as a JSON string.
func appendString(p []byte, text string) []byte {
	quoted, _ := json.Marshal(text) // never fails
	return append(p, quoted...)
}
