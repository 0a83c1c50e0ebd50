package meter

import (
	"slices"

	"github.com/caddyws/caddy-websocket/aggregate"
)

// keysField is the field of the view that has the newest reading of each key. It is kept
// from one view to the next, and only what has changed is made anew: with a thousand keys
// the numbers take much longer to write than to copy.
type keysField struct {
	text []byte // the entries, each with a comma behind it; that without a key is empty
	ends []int  // of the entries in text
}

// follow makes the field that of some readings, of which it was before.
func (f *keysField) follow(r *aggregate.Readings) {
	if r.VisitFresh(f.replace) {
		return
	}
	f.text, f.ends = f.text[:0], f.ends[:0]
	for key, newest := range r.Keys() {
		f.text = appendEntry(f.text, key, newest)
		f.ends = append(f.ends, len(f.text))
	}
}

// replace gives the entry in a place another reading.
func (f *keysField) replace(place int, key string, newest aggregate.Number) {
	begin, end := 0, f.ends[place]
	if place > 0 {
		begin = f.ends[place-1]
	}
	var memory [maxEntry]byte
	entry := appendEntry(memory[:0], key, newest)
	f.text = slices.Replace(f.text, begin, end, entry...)
	grown := len(entry) - (end - begin)
	if grown == 0 {
		return
	}
	for i := place; i < len(f.ends); i++ {
		f.ends[i] += grown
	}
}

// maxEntry is enough for any entry.
const maxEntry = maxKey + maxNumber

// appendEntry appends the newest reading of a key. Those without a key are not shown.
func appendEntry(p []byte, key string, newest aggregate.Number) []byte {
	if key == "" {
		return p
	}
	p = append(append(append(p, '"'), key...), `":`...) // has nothing to be escaped
	return append(appendNumber(p, newest), ',')
}

// appendTo appends the field.
func (f *keysField) appendTo(p []byte) []byte {
	p = append(append(p, `,"keys":{`...), f.text...)
	if len(f.text) > 0 {
		p = p[:len(p)-1] // the last comma
	}
	return append(p, '}')
}
