package replica

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/caddyws/caddy-websocket/apps"
)

// Events is the newest events of a room, and how far they were told. They are stored
// with the state, so that a client that comes back is told what it has missed, and that
// nothing that was committed is left untold after a crash. Of a room that never had an
// event nothing is stored. An Events is not changed: with makes another one.
//
// Kept are the last 64, but no more than 64 KiB of names, texts and JSON: the oldest go
// first. An event that is larger than that alone is told, and not kept.
type Events struct {
	Kept    []Event // oldest first
	Total   uint64  // how many there have been in this life of the room
	Told    uint64  // how many of these have been told outside of the room, as far as is stored
	Dropped Place   // of the newest one that is not kept any more; zero if all are
}

// Event is an event of a room.
type Event struct {
	apps.Event
	Place
}

// Place is where an event stands among those of a room's life.
type Place struct {
	Version uint64 // of the state after the operation that led to it
	Number  int    // among the events of that operation, from 1
}

// unnamed is the name of events whose own is none.
const unnamed = "event"

// maxName is the longest name of an event.
const maxName = 32

// Bounds of what is kept.
const (
	maxKept      = 64
	maxKeptBytes = 64 << 10
)

// Before reports whether p comes before q.
func (p Place) Before(q Place) bool {
	return p.Version < q.Version || p.Version == q.Version && p.Number < q.Number
}

// After returns the kept events behind a place.
func (e Events) After(p Place) []Event {
	return e.Kept[sort.Search(len(e.Kept), func(i int) bool { return p.Before(e.Kept[i].Place) }):]
}

// AfterFirst returns the kept events but for the first n of all there have been.
func (e Events) AfterFirst(n uint64) []Event {
	gone := e.Total - uint64(len(e.Kept))
	return e.Kept[min(max(n, gone)-gone, uint64(len(e.Kept))):]
}

// with returns the events together with those of a batch.
func (e Events) with(results []Result) Events {
	var added []Event
	for i := range results {
		added = results[i].appendEvents(added)
	}
	if len(added) == 0 {
		return e
	}
	e.Total += uint64(len(added))
	all := slices.Concat(e.Kept, added)
	from := firstKept(all)
	if from > 0 {
		e.Dropped = all[from-1].Place
	}
	e.Kept = slices.Clone(all[from:])
	return e
}

// firstKept returns the index of the first event that is kept.
func firstKept(all []Event) int {
	size, first := 0, len(all)
	for first > 0 && len(all)-first < maxKept {
		size += all[first-1].size()
		if size > maxKeptBytes {
			break
		}
		first--
	}
	return first
}

func (e *Event) size() int {
	return len(e.Name) + len(e.To.Claim()) + len(e.Body.Text) + len(e.Body.JSON)
}

// isName reports whether an event may have a name.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= c && c <= '9' || c == '_'):
		default:
			return false
		}
	}
	return 0 < len(s) && len(s) <= maxName
}

// nameEvents gives events whose names are none another one, so that those that they are
// for are told all the same. The fault of the app is reported once.
func (r *Replica) nameEvents(events []apps.Event) []apps.Event {
	bad := func(e apps.Event) bool { return !isName(e.Name) && !e.Body.Empty() }
	if !slices.ContainsFunc(events, bad) {
		return events
	}
	events = slices.Clone(events)
	for i := range events {
		if !bad(events[i]) {
			continue
		}
		if !r.misnamed {
			r.misnamed = true
			r.report(fmt.Errorf("the app has named an event %q: it is told as %q", events[i].Name, unnamed))
		}
		events[i].Name = unnamed
	}
	return events
}

// Counts reports whether the operation has counted now, and not before.
func (res *Result) Counts() bool { return res.Err == nil && !res.Repeat }

// Events returns the events that an operation has led to: none if it does not count.
func (res *Result) Events() []Event { return res.appendEvents(nil) }

func (res *Result) appendEvents(dst []Event) []Event {
	if !res.Counts() {
		return dst
	}
	for i, event := range res.Outcome.Events {
		if !event.Body.Empty() {
			dst = append(dst, Event{event, Place{res.Version, i + 1}})
		}
	}
	return dst
}

// The stored form:
//
//	total, told       uvarint each
//	dropped           version and number, uvarint each
//	kept              uvarint, how many; then of each
//	version, number   uvarint each
//	audience          uvarint: 0 everybody, 1 the sender, 2 a claim, whose name follows
//	name, text, JSON
//
// Names, texts and JSON are a uvarint size and the bytes.

const (
	toEverybody = iota
	toSender
	toClaim
)

// appendTo appends the stored form.
func (e Events) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, e.Total)
	dst = binary.AppendUvarint(dst, e.Told)
	dst = e.Dropped.appendTo(dst)
	dst = binary.AppendUvarint(dst, uint64(len(e.Kept)))
	for i := range e.Kept {
		dst = e.Kept[i].appendTo(dst)
	}
	return dst
}

func (p Place) appendTo(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, p.Version), uint64(p.Number))
}

func (e *Event) appendTo(dst []byte) []byte {
	dst = e.Place.appendTo(dst)
	switch {
	case e.To.Sender():
		dst = append(dst, toSender)
	case e.To.Claim() != "":
		dst = appendSized(append(dst, toClaim), e.To.Claim())
	default:
		dst = append(dst, toEverybody)
	}
	dst = appendSized(dst, e.Name)
	dst = appendSized(dst, e.Body.Text)
	return appendSized(dst, e.Body.JSON)
}

func appendSized[T string | []byte](dst []byte, p T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(p))), p...)
}

// parseEvents reads the events at the beginning of p and returns the rest. It keeps nothing
// of p.
func parseEvents(p []byte) (e Events, rest []byte, ok bool) {
	r := reader{p, true}
	e.Total, e.Told, e.Dropped = r.uvarint(), r.uvarint(), r.place()
	kept := r.uvarint()
	if !r.ok || kept > min(maxKept, e.Total) || e.Total == 0 || e.Told > e.Total {
		return Events{}, nil, false
	}
	last, size := e.Dropped, 0
	for range kept {
		event := r.event()
		size += event.size()
		if !r.ok || !last.Before(event.Place) || !isName(event.Name) || size > maxKeptBytes {
			return Events{}, nil, false
		}
		last = event.Place
		e.Kept = append(e.Kept, event)
	}
	return e, r.p, true
}

// reader reads a stored form. Once something is missing, all that follows is zero.
type reader struct {
	p  []byte
	ok bool
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.p)
	if size <= 0 {
		r.p, r.ok = nil, false
		return 0
	}
	r.p = r.p[size:]
	return n
}

func (r *reader) place() Place {
	version, number := r.uvarint(), r.uvarint()
	if number > math.MaxInt32 {
		r.p, r.ok = nil, false
	}
	return Place{version, int(number)}
}

func (r *reader) sized() []byte {
	size := r.uvarint()
	if size > uint64(len(r.p)) {
		r.p, r.ok = nil, false
		return nil
	}
	p := slices.Clone(r.p[:size:size])
	r.p = r.p[size:]
	return p
}

func (r *reader) event() (e Event) {
	e.Place = r.place()
	switch kind := r.uvarint(); kind {
	case toEverybody:
	case toSender:
		e.To = apps.ToSender()
	case toClaim:
		e.To = apps.ToClaim(string(r.sized()))
	default:
		r.p, r.ok = nil, false
	}
	e.Name = string(r.sized())
	e.Body = apps.Body{Text: r.sized(), JSON: r.sized()}
	return e
}
