package meter

import (
	"strconv"

	"github.com/caddyws/caddy-websocket/aggregate"
	"github.com/caddyws/caddy-websocket/apps"
)

// reply is what the sender of a reading is told: its number, and in JSON how many
// readings count.
//
//	{"count":3,"key":"press-4","last":812.5}
func (s *state) reply(r reading) apps.Body {
	p := append(make([]byte, 0, 160), `{"count":`...)
	p = strconv.AppendUint(p, s.readings.Count(), 10)
	if len(r.key) > 0 {
		p = append(p, `,"key":"`...)
		p = append(append(p, r.key...), '"')
	}
	p = append(p, `,"last":`...)
	begin := len(p)
	p = appendNumber(p, r.number)
	end := len(p)
	return apps.Body{Text: p[begin:end:end], JSON: append(p, '}')}
}

// View is the folds, the newest reading of each key, the names of the alerts that are
// raised, and the thresholds of all alerts, if there are any; as text the folds alone.
//
//	{"count":1,"sum":5,"min":5,"max":5,"mean":5,"last":5,"keys":{"press-4":5},"alerts":[],
//	"thresholds":[{"alert":"stop","each":true,"fold":"last","above":900,"clear":850}]}
//	count 1 sum 5 min 5 max 5 mean 5 last 5
func (s *state) View() apps.Body {
	summary := s.readings.Summary()
	p, text := appendFolds(make([]byte, 0, s.shown+256), make([]byte, 0, 128), &summary)
	s.keys.follow(s.readings)
	p = s.appendAlerts(s.keys.appendTo(p))
	p = append(append(p, s.rules.thresholds...), '}')
	s.shown = len(p)
	return apps.Body{Text: text, JSON: p}
}

// shownFolds are the folds in the order in which they are shown.
var shownFolds = [...]aggregate.Fold{
	aggregate.FoldCount, aggregate.FoldSum, aggregate.FoldMin, aggregate.FoldMax, aggregate.FoldMean, aggregate.FoldLast,
}

// appendFolds appends the folds to p, as fields of an object that begins, and to text, on one
// line. What has no value is null in the one, and left out in the other.
func appendFolds(p, text []byte, s *aggregate.Summary) (object, line []byte) {
	before, blank := `{"`, ""
	for _, f := range shownFolds {
		name := f.String()
		p = append(append(append(p, before...), name...), `":`...)
		before = `,"`
		value, ok := s.Value(f)
		if !ok {
			p = append(p, "null"...)
			continue
		}
		begin := len(p)
		p = appendNumber(p, value)
		text = append(append(append(text, blank...), name...), ' ')
		text = append(text, p[begin:]...)
		blank = " "
	}
	return p, text
}

// appendAlerts appends the names of the alerts that are raised as a field.
func (s *state) appendAlerts(p []byte) []byte {
	p = append(p, `,"alerts":[`...)
	first := true
	for i := range s.rules.alerts {
		if !s.readings.IsRaised(i) {
			continue
		}
		if !first {
			p = append(p, ',')
		}
		first = false
		p = append(append(append(p, '"'), s.rules.alerts[i].Name...), '"') // has nothing to be escaped
	}
	return append(p, ']')
}

// thresholdsField returns the field of the view that says when alerts begin and end;
// nothing if there are none.
func thresholdsField(alerts []Alert) []byte {
	var p []byte
	before := `,"thresholds":[{"alert":"`
	for i := range alerts {
		p = appendThreshold(append(p, before...), &alerts[i])
		before = `},{"alert":"`
	}
	if p != nil {
		p = append(p, "}]"...)
	}
	return p
}

// appendThreshold appends an object behind the quote that the name of the alert begins
// with, without its last brace.
func appendThreshold(p []byte, a *Alert) []byte {
	p = append(append(p, a.Name...), '"') // has nothing to be escaped
	if a.Each {
		p = append(p, `,"each":true`...)
	}
	p = append(append(append(p, `,"fold":"`...), a.Fold...), `","`...)
	p = appendNumber(append(append(p, a.direction()...), `":`...), a.threshold().Number)
	return appendNumber(append(p, `,"clear":`...), a.clear().Number)
}

func appendNumber(p []byte, n aggregate.Number) []byte {
	p, _ = n.AppendText(p) // never fails
	return p
}
