package aggregate

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"
)

// The naive twin of Readings: it keeps every reading for ever, in math/big, and
// looks at all of them whenever something is asked. It shares nothing with the
// package but the rules and the errors.

type twinReading struct {
	at    int64
	key   string
	value *big.Rat
}

type twinAlarm struct {
	raised, begun bool
	begin         int64
}

type twinHistory struct {
	rules    Rules
	at       int64
	readings []twinReading
	known    map[string]bool // keys as of the last call
	alarms   map[string]*twinAlarm
}

func newTwinHistory(rules Rules) *twinHistory {
	return &twinHistory{rules: rules, known: map[string]bool{}, alarms: map[string]*twinAlarm{}}
}

// counts reports whether a reading is in the window at a time, or among all.
func (h *twinHistory) inWindow(r twinReading, at int64) bool {
	if h.rules.Window <= 0 {
		return true
	}
	width := max(h.rules.Window/60, 1)
	return at/width-r.at/width < 60
}

// keys returns the keys at a time, sorted.
func (h *twinHistory) keys(at int64) []string {
	keys := map[string]bool{}
	for _, r := range h.readings {
		if h.inWindow(r, at) {
			keys[r.key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// counting returns the readings that count now, oldest first; those of one key, or
// of all.
func (h *twinHistory) counting(key string, all bool) []twinReading {
	var counting []twinReading
	for i, r := range h.readings {
		newer := func(o twinReading) bool { return o.key == r.key }
		if !h.inWindow(r, h.at) || !all && r.key != key || h.rules.Latest && slices.ContainsFunc(h.readings[i+1:], newer) {
			continue
		}
		counting = append(counting, r)
	}
	return counting
}

func (h *twinHistory) add(at int64, key string, value *big.Rat) (changes []string, err error) {
	at = max(at, h.at)
	if len(key) > 64 {
		return nil, ErrKeyTooLong
	}
	if keys := h.keys(at); !slices.Contains(keys, key) && len(keys) >= h.rules.MaxKeys {
		return nil, ErrTooManyKeys
	}
	changes = h.advance(at)
	h.readings = append(h.readings, twinReading{at, key, value})
	h.known[key] = true
	changes = append(changes, h.judgeAll(key)...)
	return append(changes, h.judgeKey(key)...), nil
}

func (h *twinHistory) advance(at int64) (changes []string) {
	h.at = max(at, h.at)
	if len(h.readings) == 0 {
		return nil
	}
	keys := h.keys(h.at)
	for _, key := range slices.Sorted(maps.Keys(h.known)) {
		if !slices.Contains(keys, key) {
			delete(h.known, key)
			changes = append(changes, h.forget(key)...)
		}
	}
	changes = append(changes, h.judgeAll("")...)
	for _, key := range keys {
		changes = append(changes, h.judgeKey(key)...)
	}
	return changes
}

func (h *twinHistory) forget(key string) (changes []string) {
	for i, t := range h.rules.Thresholds {
		if a := h.alarm(i, key); t.Each && a.raised {
			changes = append(changes, twinChange(i, key, false, true, nil))
		}
		delete(h.alarms, fmt.Sprint(i, key))
	}
	return changes
}

func (h *twinHistory) alarm(threshold int, key string) *twinAlarm {
	id := fmt.Sprint(threshold, key)
	if h.alarms[id] == nil {
		h.alarms[id] = &twinAlarm{}
	}
	return h.alarms[id]
}

func (h *twinHistory) judgeAll(cause string) (changes []string) {
	for i, t := range h.rules.Thresholds {
		if !t.Each {
			changes = append(changes, h.judge(i, h.alarm(i, "(all)"), h.counting("", true), cause)...)
		}
	}
	return changes
}

func (h *twinHistory) judgeKey(key string) (changes []string) {
	for i, t := range h.rules.Thresholds {
		if t.Each {
			changes = append(changes, h.judge(i, h.alarm(i, key), h.counting(key, false), key)...)
		}
	}
	return changes
}

func (h *twinHistory) judge(threshold int, a *twinAlarm, readings []twinReading, key string) []string {
	t := h.rules.Thresholds[threshold]
	value := twinFold(t.Fold, readings)
	switch {
	case a.raised && h.beyond(t, value, t.Clear):
		return nil
	case a.raised:
		a.raised = false
	case !h.beyond(t, value, t.Level) || h.cooling(t, a):
		return nil
	default:
		*a = twinAlarm{raised: true, begun: true, begin: h.at}
	}
	return []string{twinChange(threshold, key, a.raised, !a.raised && value == nil, twinRounded(t.Fold, value))}
}

func (h *twinHistory) cooling(t Threshold, a *twinAlarm) bool {
	again := new(big.Int).Add(big.NewInt(a.begin), big.NewInt(t.Cooldown))
	return a.begun && big.NewInt(h.at).Cmp(again) < 0
}

func (h *twinHistory) beyond(t Threshold, value *big.Rat, level Number) bool {
	if value == nil {
		return false
	}
	limit, _ := new(big.Rat).SetString(level.String())
	if t.Below {
		return value.Cmp(limit) < 0
	}
	return value.Cmp(limit) > 0
}

// twinFold returns nil if the fold has no value.
func twinFold(f Fold, readings []twinReading) *big.Rat {
	sum := new(big.Rat)
	count := new(big.Rat).SetInt64(int64(len(readings)))
	byValue := slices.Clone(readings)
	slices.SortFunc(byValue, func(a, b twinReading) int { return a.value.Cmp(b.value) })
	for _, r := range readings {
		sum.Add(sum, r.value)
	}
	switch {
	case f == FoldSum:
		return sum
	case f == FoldCount:
		return count
	case len(readings) == 0:
		return nil
	}
	return map[Fold]*big.Rat{
		FoldMin: byValue[0].value, FoldMax: byValue[len(byValue)-1].value,
		FoldMean: sum.Quo(sum, count), FoldLast: readings[len(readings)-1].value,
	}[f]
}

// twinRounded rounds a mean as it is shown.
func twinRounded(f Fold, value *big.Rat) *big.Rat {
	if f != FoldMean || value == nil || value.Sign() == 0 {
		return value
	}
	unit := int64(-30)
	for new(big.Rat).Abs(value).Cmp(twinPower(unit+12)) >= 0 {
		unit++
	}
	units := new(big.Rat).Quo(value, twinPower(unit))
	floor := new(big.Int).Div(units.Num(), units.Denom()) // Euclidean: towards minus infinity
	rest := new(big.Rat).Sub(units, new(big.Rat).SetInt(floor))
	if half := rest.Cmp(big.NewRat(1, 2)); half > 0 || half == 0 && floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	return new(big.Rat).Mul(new(big.Rat).SetInt(floor), twinPower(unit))
}

func twinChange(threshold int, key string, raised, gone bool, value *big.Rat) string {
	if value == nil {
		value = new(big.Rat)
	}
	return fmt.Sprintf("%d %q raised %t gone %t value %s", threshold, key, raised, gone, twinText(value))
}

// String tells everything that can be asked of a history.
func (h *twinHistory) String() string {
	var b strings.Builder
	readings := h.counting("", true)
	for f := range Fold(len(foldNames)) {
		value := twinRounded(f, twinFold(f, readings))
		if value == nil {
			fmt.Fprintf(&b, "no %v, ", f)
			continue
		}
		fmt.Fprintf(&b, "%v %s, ", f, twinText(value))
	}
	for _, key := range h.keys(h.at) {
		own := slices.DeleteFunc(slices.Clone(h.readings), func(r twinReading) bool { return r.key != key })
		fmt.Fprintf(&b, "%q=%s, ", key, twinText(own[len(own)-1].value))
	}
	fmt.Fprintf(&b, "raised %q, next %d", h.raised(), h.next())
	return b.String()
}

func (h *twinHistory) raised() (raised []string) {
	for i, t := range h.rules.Thresholds {
		if h.alarm(i, "(all)").raised {
			raised = append(raised, twinChange(i, "", true, false, twinRounded(t.Fold, twinFold(t.Fold, h.counting("", true)))))
		}
		for _, key := range h.keys(h.at) {
			if h.alarm(i, key).raised {
				raised = append(raised, twinChange(i, key, true, false, twinRounded(t.Fold, twinFold(t.Fold, h.counting(key, false)))))
			}
		}
	}
	return raised
}

// next returns the time at which something leaves or an alert begins again.
func (h *twinHistory) next() int64 {
	next := big.NewInt(math.MaxInt64)
	earlier := func(a, b, c int64) { // (a + b) * c
		t := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		if t.Mul(t, big.NewInt(c)).Cmp(next) < 0 {
			next = t
		}
	}
	if width := max(h.rules.Window/60, 1); h.rules.Window > 0 {
		for _, r := range h.counting("", true) {
			earlier(r.at/width, 60, width)
		}
	}
	for i, t := range h.rules.Thresholds {
		for _, key := range append(h.keys(h.at), "(all)") {
			value := twinFold(t.Fold, h.counting(key, key == "(all)"))
			if a := h.alarm(i, key); !a.raised && t.Each == (key != "(all)") && h.beyond(t, value, t.Level) && h.cooling(t, a) {
				earlier(a.begin, t.Cooldown, 1)
			}
		}
	}
	return next.Int64()
}
