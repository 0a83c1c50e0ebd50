package replica

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// input is what somebody has asked a room for: to count operation k, or with -1 to tell
// the total.
type input struct{ k int }

// output is the total behind the operation, to the base 4; empty if it was not told.
type output struct{ total string }

// room of powers, as if one operation were carried out after the other. Its state is the
// total to the base 4.
var powersModel = porcupine.Model{
	Init: func() any { return "0" },
	Step: func(before, asked, told any) (bool, any) {
		state, in, out := before.(string), asked.(input), told.(output)
		if in.k < 0 {
			return out.total == state, state
		}
		if digit(state, in.k) > 0 {
			return false, state
		}
		total, _ := new(big.Int).SetString(state, 4)
		next := total.Add(total, digitOf(in.k)).Text(4)
		return out.total == "" || out.total == next, next
	},
}

// operations returns the history of a simulation as porcupine has it. What was never
// answered may be carried out at any time, or never: that is, after everything else.
func (s *simulation) operations() (all []porcupine.Operation) {
	for i, x := range s.sends {
		if x.k < 0 || !x.acked && !x.unsure {
			continue
		}
		op := porcupine.Operation{ClientId: i, Input: input{x.k}, Output: output{}, Call: x.start.UnixNano(), Return: math.MaxInt64}
		if x.acked {
			op.Return = x.end.UnixNano()
		}
		if x.acked && !x.first.present {
			op.Output = output{string(x.first.Outcome.Reply.Text)}
		}
		all = append(all, op)
	}
	for _, x := range s.reads {
		all = append(all, porcupine.Operation{ClientId: len(all), Input: input{-1}, Output: output{x.total}, Call: x.start.UnixNano(), Return: x.end.UnixNano()})
	}
	return all
}

// To its clients, a room of several processes over a bad network is one that carries out
// one operation after the other, each between its sending and its answer.
func TestLinearizability(t *testing.T) {
	seeds(t, 300, func(seed uint64) {
		s := simulate(t, seed)
		switch porcupine.CheckOperationsTimeout(powersModel, s.operations(), 10*time.Second) {
		case porcupine.Illegal:
			t.Errorf("seed %d is not linearizable; to repeat: REPLICA_SEED=%d go test -run TestLinearizability ./replica", seed, seed)
		case porcupine.Unknown:
			t.Logf("seed %d takes too long", seed)
		}
	})
}

// A history that is not linearizable is found out.
func TestTheModelKnowsFaults(t *testing.T) {
	op := func(k int, total string, call, end int64) porcupine.Operation {
		return porcupine.Operation{ClientId: k + 1, Input: input{k}, Output: output{total}, Call: call, Return: end}
	}
	for name, test := range map[string]struct {
		history []porcupine.Operation
		ok      bool
	}{
		"in turn":                {[]porcupine.Operation{op(0, "1", 1, 2), op(1, "11", 3, 4), op(-1, "11", 5, 6)}, true},
		"at one time":            {[]porcupine.Operation{op(0, "11", 1, 4), op(1, "10", 2, 3), op(-1, "11", 5, 6)}, true},
		"never answered":         {[]porcupine.Operation{op(0, "", 1, math.MaxInt64), op(1, "10", 2, 3), op(-1, "10", 5, 6)}, true},
		"answered late":          {[]porcupine.Operation{op(0, "", 1, math.MaxInt64), op(1, "11", 2, 3), op(-1, "11", 5, 6)}, true},
		"lost":                   {[]porcupine.Operation{op(0, "1", 1, 2), op(-1, "0", 5, 6)}, false},
		"twice":                  {[]porcupine.Operation{op(0, "1", 1, 2), op(-1, "2", 5, 6)}, false},
		"read of before":         {[]porcupine.Operation{op(0, "1", 1, 2), op(1, "10", 3, 4)}, false},
		"gone after it was read": {[]porcupine.Operation{op(0, "", 1, math.MaxInt64), op(-1, "1", 2, 3), op(-1, "0", 4, 5)}, false},
	} {
		if got := porcupine.CheckOperations(powersModel, test.history); got != test.ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}
