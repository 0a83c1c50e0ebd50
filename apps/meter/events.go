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
	event, threshold := apps.Event{Name: "alert"}, c.Removed
	if threshold != nil {
		event.Body = removedBody(threshold.Name, c.Key)
	} else {
		threshold = &r.counting.Thresholds[c.Threshold]
		event.Body = r.alerts[c.Threshold].body(c)
	}
	if threshold.ToKey {
		if c.Key == "" {
			return events
		}
		event.To = apps.ToClaim(c.Key)
	}
	return append(events, event)
}

// removedBody is what is told of an alert that has ended because the options do not have it
// any more. Of what led to it only the key is known.
//
//	{"alert":"warning","raised":false,"removed":true,"key":"press-4","message":"…"}
func removedBody(name, key string) apps.Body {
	text := over(name, key) + ": the configuration has changed"
	p := append(make([]byte, 0, 192+len(text)), `{"alert":"`...)
	p = append(append(p, name...), `","raised":false,"removed":true`...)
	p = appendString(append(appendKey(p, key), `,"message":`...), text)
	return apps.Body{Text: []byte(text), JSON: append(p, '}')}
}

// appendKey appends the field of a key, if there is one.
func appendKey(p []byte, key string) []byte {
	if key == "" {
		return p
	}
	return append(append(append(p, `,"key":"`...), key...), '"') // has nothing to be escaped
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
	p = appendString(append(appendKey(p, c.Key), `,"message":`...), text)
	return apps.Body{Text: []byte(text), JSON: append(p, '}')}
}

// sentence is what people are told of a change.
func (a *Alert) sentence(c aggregate.Change) string {
	switch {
	case c.Raised:
		return a.say(c.Key, c.Value.String())
	case a.Each:
		return over(a.Name, c.Key)
	}
	return over(a.Name, "")
}

// over says that an alert has ended, of a key if it is not empty.
func over(name, key string) string {
	if key == "" {
		return name + " is over"
	}
	return name + " is over for " + key
}

// appendString appends a text as a JSON string.
func appendString(p []byte, text string) []byte {
	quoted, _ := json.Marshal(text) // never fails
	return append(p, quoted...)
}
