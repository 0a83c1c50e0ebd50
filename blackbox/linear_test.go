package blackbox

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Histories of rooms, as their clients know them: to its clients a room is one total, to which
// one number after another is added, each at some time between its sending and its answer.

// span is the time of an operation as its client knows it; without an end it was not answered.
type span struct{ began, ended time.Time }

// sumModel is a room of sum without any servers. Inputs are numbers, outputs the totals that
// are told; empty if none was.
var sumModel = porcupine.Model{
	Init: func() any { return "0" },
	Step: func(before, value, told any) (bool, any) {
		total, _ := new(big.Int).SetString(before.(string), 10)
		n, _ := new(big.Int).SetString(value.(string), 10)
		next := total.Add(total, n).String()
		return told == "" || told == next, next
	},
}

// history is what writers of one room have done. What was not answered may have been counted
// at any time, or never: that is, after everything else. What was refused was not counted.
func history(writers []*writer) (all []porcupine.Operation) {
	for _, w := range writers {
		for n := 1; n <= w.sent; n++ {
			a, s := w.answers[n], w.spans[n]
			o := porcupine.Operation{ClientId: len(all), Input: w.value(n), Output: "", Call: s.began.UnixNano(), Return: math.MaxInt64}
			switch {
			case a.Type == "reply":
				o.Output, o.Return = a.Total.String(), s.ended.UnixNano()
			case a.Code == "unavailable":
				continue
			}
			all = append(all, o)
		}
	}
	return all
}

// isLinear fails the test unless the history of a room's writers can be told as one operation
// after the other.
func isLinear(t *testing.T, room string, writers []*writer) {
	t.Helper()
	if result := porcupine.CheckOperationsTimeout(sumModel, history(writers), 5*patience); result != porcupine.Ok {
		t.Errorf("%s: the history is %s", room, result)
	}
}

// isInOrder is isLinear for a room with very many operations. The versions in their replies
// tell in which order they were counted: no two have the same, and none may have ended before
// one that was counted earlier has begun.
func isInOrder(t *testing.T, room string, writers []*writer) {
	t.Helper()
	type counted struct {
		told
		span
	}
	var all []counted
	for _, w := range writers {
		for n, a := range w.answers {
			if a.Type == "reply" && !a.Repeat { // to a repeat the present state may be told
				all = append(all, counted{a, w.spans[n]})
			}
		}
	}
	slices.SortFunc(all, func(a, b counted) int { return cmp.Compare(a.Version, b.Version) })
	for i, latest := 1, 0; i < len(all); i++ {
		if all[i].Version == all[i-1].Version {
			t.Errorf("%s: two operations have made one version: %s, %s", room, all[i-1].raw, all[i].raw)
		}
		if all[i-1].began.After(all[latest].began) {
			latest = i - 1
		}
		if all[i].ended.Before(all[latest].began) {
			t.Errorf("%s: %s was told before %s was begun", room, all[i].raw, all[latest].raw)
		}
	}
}

// Histories that cannot be are found out.
func TestTheModelKnowsFaults(t *testing.T) {
	op := func(value, total string, call, end int64) porcupine.Operation {
		return porcupine.Operation{Input: value, Output: total, Call: call, Return: end}
	}
	for name, test := range map[string]struct {
		history []porcupine.Operation
		is      bool
	}{
		"in turn":           {[]porcupine.Operation{op("1", "1", 1, 2), op("4", "5", 3, 4), op("0", "5", 5, 6)}, true},
		"at one time":       {[]porcupine.Operation{op("1", "5", 1, 4), op("4", "4", 2, 3)}, true},
		"counted late":      {[]porcupine.Operation{op("1", "", 1, math.MaxInt64), op("4", "4", 2, 3), op("0", "5", 5, 6)}, true},
		"never counted":     {[]porcupine.Operation{op("1", "", 1, math.MaxInt64), op("4", "4", 2, 3)}, true},
		"lost":              {[]porcupine.Operation{op("1", "1", 1, 2), op("0", "0", 3, 4)}, false},
		"counted twice":     {[]porcupine.Operation{op("1", "1", 1, 2), op("0", "2", 3, 4)}, false},
		"answered too soon": {[]porcupine.Operation{op("1", "5", 1, 2), op("4", "4", 3, 4)}, false},
		"another history":   {[]porcupine.Operation{op("1", "1", 1, 4), op("4", "4", 2, 3)}, false},
	} {
		if got := porcupine.CheckOperations(sumModel, test.history); got != test.is {
			t.Errorf("%s: %t", name, got)
		}
	}
}
