package aggregate

import (
	"cmp"
	"slices"
)

// adopt takes over what was stored, perhaps under other rules. Nothing is in r yet;
// old is not used any more.
func (r *Readings) adopt(old *Readings) {
	a := adoption{r: r, old: old, places: places(r.rules.Thresholds, old.rules.Thresholds)}
	r.at, r.begun, r.last = old.at, old.begun, old.last
	r.slice = r.sliceOf(r.at)
	if r.begun {
		r.due = 0 // everything is judged at the next call
	}
	r.ended = a.ended()
	r.alarms = a.alarms(old.alarms)
	for _, s := range old.sorted {
		a.source(s)
	}
	if !r.rules.Latest {
		r.whole = a.whole()
	}
	r.stale = len(r.ended) > 0 || r.wouldChange()
}

// adoption is the way from old to r.
type adoption struct {
	r, old *Readings
	places []int // of the old thresholds that go on under the new rules; -1: none
}

// places returns for each threshold the place of the one that it continues.
func places(now, old []Threshold) []int {
	places := make([]int, len(now))
	for i := range now {
		places[i] = slices.IndexFunc(old, func(t Threshold) bool {
			return t.Name == now[i].Name && t.Each == now[i].Each
		})
	}
	return places
}

// alarms returns the alarms that go on, in their new places. There are no old ones
// of a key if there was no threshold for each key.
func (a *adoption) alarms(old []alarm) []alarm {
	alarms := make([]alarm, len(a.places))
	for i, place := range a.places {
		if 0 <= place && place < len(old) {
			alarms[i] = old[place]
		}
	}
	return alarms
}

// ended returns the ends of the alerts that are raised and do not go on: those of all keys
// together, then those of each key.
func (a *adoption) ended() (changes []Change) {
	for i := range a.old.rules.Thresholds {
		t := &a.old.rules.Thresholds[i]
		switch {
		case slices.Contains(a.places, i):
		case !t.Each && a.old.alarms[i].raised:
			changes = append(changes, Change{Threshold: -1, Removed: t})
		case t.Each:
			changes = append(changes, a.endedFor(t, i)...)
		}
	}
	return changes
}

// endedFor returns the ends of the alerts of a threshold for each key.
func (a *adoption) endedFor(t *Threshold, place int) (changes []Change) {
	for _, s := range a.old.sorted {
		if s.alarms[place].raised {
			changes = append(changes, Change{Threshold: -1, Key: s.key, Removed: t})
		}
	}
	return changes
}

// wouldChange reports whether an alert would begin or end if all were judged at the time of
// the newest call.
func (r *Readings) wouldChange() bool {
	whole := r.Summary()
	if r.begun && r.together && r.anyWouldChange(&whole, r.alarms, false) {
		return true
	}
	return r.each && slices.ContainsFunc(r.sorted, func(s *source) bool {
		own := r.summaryOf(s)
		return r.anyWouldChange(&own, s.alarms, true)
	})
}

// anyWouldChange is wouldChange for the thresholds that are for each key, or for the others.
func (r *Readings) anyWouldChange(s *Summary, alarms []alarm, each bool) bool {
	for i, a := range alarms { // a copy
		if t := &r.rules.Thresholds[i]; t.Each == each && t.judge(&a, s, r.at) {
			return true
		}
	}
	return false
}

// source takes over a source. They come sorted by key.
func (a *adoption) source(s *source) {
	s.slice = a.number(s.slice)
	a.own(s)
	if a.r.each {
		s.alarms = a.alarms(s.alarms)
	} else {
		s.alarms = nil
	}
	a.r.latest.sum = a.r.latest.sum.plus(s.newest)
	a.r.sorted = append(a.r.sorted, s)
	a.r.sources[s.key] = s
}

// own converts what a source keeps beside its newest reading.
func (a *adoption) own(s *source) {
	if a.r.keepsOwn() && a.old.keepsOwn() && a.dated() {
		s.own.renumber(a.number)
		return
	}
	s.own = window{}
	if a.r.keepsOwn() {
		s.own.add(s.slice, s.newest)
	}
}

// whole returns the window of all readings. If it was not kept, it begins with the
// newest reading of each key.
func (a *adoption) whole() (w window) {
	if !a.old.rules.Latest && a.dated() {
		w = a.old.whole
		w.renumber(a.number)
		return w
	}
	byAge := slices.Clone(a.r.sorted)
	slices.SortStableFunc(byAge, func(s, t *source) int { return cmp.Compare(s.slice, t.slice) })
	for _, s := range byAge {
		w.add(s.slice, s.newest)
	}
	return w
}

// dated reports whether it is known when the stored readings were read, as far as
// the new rules ask for it.
func (a *adoption) dated() bool { return a.old.width > 0 || a.r.width == 0 }

// number returns the new number of a slice: that of the time at which it began.
func (a *adoption) number(old int64) int64 {
	if a.old.width == 0 {
		return a.r.slice
	}
	return a.r.sliceOf(old * a.old.width)
}
