package aggregate

import (
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
)

// Why a reading is refused. The messages are safe to send.
var (
	// ErrTooManyKeys: as many keys as the rules allow are there, and this is one
	// more.
	ErrTooManyKeys = errors.New("too many keys")
	// ErrKeyTooLong: the key is longer than 64 bytes.
	ErrKeyTooLong = errors.New("key of more than 64 bytes")
)

const maxKey = 64 // bytes of a key

// Rules say which readings count and what they are judged by.
type Rules struct {
	// Window is how long a reading counts, in nanoseconds. 0 and less is for
	// ever. See [Readings] for what it means exactly.
	Window int64
	// Latest counts only the newest reading of each key.
	Latest bool
	// MaxKeys is how many keys there may be at the same time.
	MaxKeys int
	// Thresholds have different names. They must not be changed any more.
	Thresholds []Threshold
}

// each reports whether there are thresholds for each key.
func (r *Rules) each() bool {
	return slices.ContainsFunc(r.Thresholds, func(t Threshold) bool { return t.Each })
}

// together reports whether there are thresholds for all keys together.
func (r *Rules) together() bool {
	return slices.ContainsFunc(r.Thresholds, func(t Threshold) bool { return !t.Each })
}

// width is the length of a slice in nanoseconds. 0: there is one that never ends.
func (r *Rules) width() int64 {
	if r.Window <= 0 {
		return 0
	}
	return max(r.Window/windowSlices, 1)
}

// Change is the beginning or the end of an alert.
type Change struct {
	Threshold int // which of the rules; -1 with Removed
	// Key is the key whose readings were judged. Where those of all keys are
	// judged together, it is the key of the reading that made the change, and
	// empty if time has made it.
	Key    string
	Raised bool
	// Gone is true when the alert has ended because no reading counts any more.
	Gone  bool
	Value Number // of the fold; 0 if Gone or Removed
	// Removed is the threshold of an alert that has ended because the rules do not
	// have it any more, else nil. Of it only Name, Each and ToKey are known.
	Removed *Threshold
}

// Readings keeps the folds of readings that come from several sources, each with
// a key, and the alerts that they lead to. [New] makes one. Readings is not a
// value as a [Sum] is: it has too many parts to copy at each reading. Its methods
// must not be called at the same time.
//
// **Time.** Every call says what time it is, in nanoseconds since 1970. Time
// never runs back here: an earlier one than that of the call before counts as the
// same, and so does one before 1970. A clock that is set back therefore only makes
// the present slice longer, until it has caught up. When it leaps forward, readings
// leave as they would have left in that time, and they do not return if it leaps
// back.
//
// **The window.** Time is cut into slices, each a sixtieth of Window (rounded
// down to a nanosecond, at least one) and counted from 1970. They are thus the
// same on every machine and after every restart. A reading belongs to the slice
// that it was read in; one at the very border to the new slice. The window is
// the present slice and the 59 before it. So a reading counts for at least 59/60
// of Window, never for longer than Window, and readings of one slice leave
// together. While nobody calls, nothing leaves: see [Readings.Next].
//
// A key whose readings have all left the window is gone. It makes room for
// another one, its alerts end, and what was known of it is forgotten, a running
// cooldown too. Without Window keys stay.
//
// **Alerts** are judged from the first reading on: at each reading, and when
// readings leave or a cooldown is over. Of what begins and ends between two calls
// nothing is told. Where the rules have changed since the readings were stored, see
// [Readings.UnmarshalBinary], there may be something to tell at once.
type Readings struct {
	// Immutable.
	rules    Rules
	width    int64
	each     bool
	together bool

	at    int64 // of the newest call
	slice int64 // of that time
	due   int64 // nothing leaves and no alert begins by itself before this time
	size  int   // of the binary form when it was last asked for

	// After the rules have changed, until Advance is called.
	stale bool     // Advance changes something, also if no time has passed
	ended []Change // of alerts that the rules do not have any more
	bytes []byte   // the binary form, as it was, if there are such

	begun  bool   // there has been a reading
	last   Number // the newest reading
	whole  window // all readings; unused with Latest
	latest latest // only with Latest
	alarms []alarm

	sources map[string]*source
	sorted  []*source // the same by key
	fresh   fresh
}

// source is what is known of one key.
type source struct {
	key    string
	newest Number
	slice  int64   // of the newest
	own    window  // see Readings.keepsOwn
	alarms []alarm // by threshold; nil if no threshold is for each key
}

const never = math.MaxInt64

// New returns the Readings without any. It keeps the rules.
func New(rules Rules) *Readings {
	return &Readings{
		rules: rules, width: rules.width(), each: rules.each(), together: rules.together(),
		due: never, alarms: make([]alarm, len(rules.Thresholds)),
		sources: make(map[string]*source),
	}
}

// Add adds a reading and returns the changes that time and the reading made, in
// this order. An empty key is a key like any other. The error is ErrKeyTooLong or
// ErrTooManyKeys, and then nothing has changed, not even the time. Add does not
// keep key.
func (r *Readings) Add(at int64, key []byte, n Number) ([]Change, error) {
	at = max(at, r.at)
	s := r.sources[string(key)]
	if s == nil {
		if err := r.admit(at, key); err != nil {
			return nil, err
		}
	}
	known := s != nil && !r.gone(s.slice, at)
	changes := r.Advance(at)
	if !known {
		s = r.insert(string(key))
	}
	r.take(s, n)
	changes = r.judgeAll(changes, s.key)
	return r.judgeOne(changes, s), nil
}

// Advance lets readings leave whose time is over at the time at, and returns the
// changes: first those of alerts that the rules do not have any more, then those of
// keys that are gone, then those of all keys together, then those of each key; all in
// the order of keys and thresholds.
func (r *Readings) Advance(at int64) []Change {
	r.at = max(at, r.at)
	r.slice = r.sliceOf(r.at)
	if r.at < r.due {
		return nil
	}
	changes := r.leave(r.ended)
	r.stale, r.ended, r.bytes = false, nil, nil
	changes = r.judgeAll(changes, "")
	for _, s := range r.sorted {
		changes = r.judgeOne(changes, s)
	}
	r.due, _ = r.Next()
	return changes
}

// Next returns the earliest time at which Advance changes anything if no reading
// comes before, and false if that is never. It is not before the time of the newest
// call. Next looks at every key.
func (r *Readings) Next() (at int64, ok bool) {
	if r.stale {
		return r.at, true
	}
	next := r.nextAlarm(never, r.alarms)
	if oldest, some := r.oldest(); some {
		next = min(next, r.end(oldest))
	}
	for _, s := range r.sorted {
		next = r.nextAlarm(next, s.alarms)
	}
	return max(next, r.at), next != never
}

// Summary returns the folds of all readings that count.
func (r *Readings) Summary() Summary {
	if r.rules.Latest {
		return r.latest.summary(r.sorted, r.last)
	}
	return r.whole.summary(r.last)
}

// Count returns the count of the Summary, at less cost.
func (r *Readings) Count() uint64 {
	if r.rules.Latest {
		return uint64(len(r.sorted))
	}
	return r.whole.count
}

// Keys returns all keys with their newest readings, sorted by key.
func (r *Readings) Keys() iter.Seq2[string, Number] {
	return func(yield func(string, Number) bool) {
		for _, s := range r.sorted {
			if !yield(s.key, s.newest) {
				return
			}
		}
	}
}

// RaisedOf returns the alerts that are raised for a key by itself, in the order of
// thresholds, each as the change that would raise it now.
func (r *Readings) RaisedOf(key string) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		s := r.sources[key]
		if s == nil {
			return
		}
		for i := range s.alarms {
			if !s.alarms[i].raised {
				continue
			}
			own := r.summaryOf(s)
			if !yield(r.change(i, &own, key, true)) {
				return
			}
		}
	}
}

// IsRaised reports whether the alert of one of the rules is raised: of all keys together,
// or of any key.
func (r *Readings) IsRaised(threshold int) bool {
	isRaised := func(s *source) bool { return s.alarms != nil && s.alarms[threshold].raised }
	return r.alarms[threshold].raised || r.rules.Thresholds[threshold].Each && slices.ContainsFunc(r.sorted, isRaised)
}

// admit judges a key that is not there.
func (r *Readings) admit(at int64, key []byte) error {
	if len(key) > maxKey {
		return ErrKeyTooLong
	}
	if len(r.sorted) >= r.rules.MaxKeys && r.remaining(at) >= r.rules.MaxKeys {
		return ErrTooManyKeys
	}
	return nil
}

// remaining returns how many keys will be there at the time at.
func (r *Readings) remaining(at int64) int {
	n := 0
	for _, s := range r.sorted {
		if !r.gone(s.slice, at) {
			n++
		}
	}
	return n
}

// insert makes a source for a key that is not there.
func (r *Readings) insert(key string) *source {
	s := &source{key: key}
	if r.each {
		s.alarms = make([]alarm, len(r.rules.Thresholds))
	}
	i, _ := slices.BinarySearchFunc(r.sorted, key, compareKey)
	r.sorted = slices.Insert(r.sorted, i, s)
	r.sources[key] = s
	r.fresh.forget()
	return s
}

func compareKey(s *source, key string) int { return strings.Compare(s.key, key) }

// take makes n the newest reading of s.
func (r *Readings) take(s *source, n Number) {
	if r.rules.Latest {
		r.latest.replace(s, n)
	} else {
		r.whole.add(r.slice, n)
	}
	if r.keepsOwn() {
		s.own.add(r.slice, n)
	}
	s.newest, s.slice = n, r.slice
	r.fresh.add(s)
	r.begun, r.last = true, n
	r.due = min(r.due, r.end(r.slice))
}

// keepsOwn reports whether sources keep more readings than the newest.
func (r *Readings) keepsOwn() bool { return r.each && !r.rules.Latest }

// leave takes away the slices and sources that are out of the window, and appends
// the ends of alerts of those sources.
func (r *Readings) leave(changes []Change) []Change {
	oldest := r.slice - windowSlices + 1
	r.whole.leave(oldest)
	r.sorted = slices.DeleteFunc(r.sorted, func(s *source) bool {
		s.own.leave(oldest)
		if !r.gone(s.slice, r.at) {
			return false
		}
		changes = r.remove(changes, s)
		return true
	})
	return changes
}

// remove forgets a source, but leaves it in the sorted list.
func (r *Readings) remove(changes []Change, s *source) []Change {
	delete(r.sources, s.key)
	r.fresh.forget()
	if r.rules.Latest {
		r.latest.remove(s)
	}
	for i := range s.alarms {
		if s.alarms[i].raised {
			changes = append(changes, Change{Threshold: i, Key: s.key, Gone: true})
		}
	}
	return changes
}

// judgeAll judges all readings together and appends the changes.
func (r *Readings) judgeAll(changes []Change, key string) []Change {
	if !r.together {
		return changes
	}
	whole := r.Summary()
	for i := range r.rules.Thresholds {
		if !r.rules.Thresholds[i].Each {
			changes = r.judge(changes, i, &r.alarms[i], &whole, key)
		}
	}
	return changes
}

// judgeOne judges the readings of s and appends the changes.
func (r *Readings) judgeOne(changes []Change, s *source) []Change {
	if !r.each {
		return changes
	}
	own := r.summaryOf(s)
	for i := range r.rules.Thresholds {
		if r.rules.Thresholds[i].Each {
			changes = r.judge(changes, i, &s.alarms[i], &own, s.key)
		}
	}
	return changes
}

// judge judges a summary by one threshold and appends the change, if there is one.
func (r *Readings) judge(changes []Change, threshold int, a *alarm, s *Summary, key string) []Change {
	if r.rules.Thresholds[threshold].judge(a, s, r.at) {
		changes = append(changes, r.change(threshold, s, key, a.raised))
	}
	if a.waits {
		r.due = min(r.due, r.again(threshold, a))
	}
	return changes
}

func (r *Readings) change(threshold int, s *Summary, key string, raised bool) Change {
	value, ok := s.Value(r.rules.Thresholds[threshold].Fold)
	return Change{Threshold: threshold, Key: key, Raised: raised, Gone: !raised && !ok, Value: value}
}

// summaryOf returns the folds of one key.
func (r *Readings) summaryOf(s *source) Summary {
	if r.rules.Latest {
		return Summary{Count: 1, Sum: s.newest, Min: s.newest, Max: s.newest, Last: s.newest}
	}
	return s.own.summary(s.newest)
}

// oldest returns the oldest slice that a reading or source is in.
func (r *Readings) oldest() (number int64, ok bool) {
	number = math.MaxInt64
	if len(r.whole.slices) > 0 {
		number = r.whole.slices[0].number
	}
	for _, s := range r.sorted {
		number = min(number, s.slice)
	}
	return number, number != math.MaxInt64
}

// nextAlarm returns the earlier one of next and the times at which alerts may
// begin again that wait for it.
func (r *Readings) nextAlarm(next int64, alarms []alarm) int64 {
	for i := range alarms {
		if alarms[i].waits {
			next = min(next, r.again(i, &alarms[i]))
		}
	}
	return next
}

// again returns the time at which an alert may begin again.
func (r *Readings) again(threshold int, a *alarm) int64 {
	cooldown := max(r.rules.Thresholds[threshold].Cooldown, 0)
	if a.begin > never-cooldown {
		return never
	}
	return a.begin + cooldown
}

// sliceOf returns the number of the slice that a time is in.
func (r *Readings) sliceOf(at int64) int64 {
	if r.width == 0 {
		return 0
	}
	return at / r.width
}

// gone reports whether a slice is out of the window at the time at.
func (r *Readings) gone(slice, at int64) bool {
	return r.sliceOf(at)-slice >= windowSlices
}

// end returns the time at which a slice leaves the window.
func (r *Readings) end(slice int64) int64 {
	if r.width == 0 || slice+windowSlices > never/r.width {
		return never
	}
	return (slice + windowSlices) * r.width
}
