package presence

import (
	"testing"
	"time"
)

var (
	ann   = Person{User: "ann"}
	bob   = Person{User: "bob"}
	guest = Person{ID: "GUEST"}
	noon  = time.Date(2030, 4, 5, 12, 0, 0, 0, time.UTC)
)

const grace = 10 * time.Second

// tell returns what the others are told at a time, empty if nothing.
func tell(t *testing.T, r *Roster, at time.Time) string {
	t.Helper()
	tick, ok := r.Tick(at)
	if !ok || !tick.All {
		return ""
	}
	return tick.Change.Name() + " " + string(tick.Change.JSON())
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

// A user is one person with all its connections, and is there until its grace is over.
func TestAUserIsOnePerson(t *testing.T) {
	r := NewRoster()
	if !r.Join(ann) || r.Join(ann) {
		t.Error("a second connection is somebody else")
	}
	expect(t, tell(t, r, noon), `change {"count":1,"joined":[{"user":"ann","connections":2}]}`)
	for range 2 {
		if r.Leave(ann, grace, noon) {
			t.Error("has left at once")
		}
	}
	if left := r.Expire(noon.Add(grace - 1)); left != nil || r.Count() != 1 {
		t.Errorf("%v left early", left)
	}
	if at := r.Next(); !at.Equal(noon.Add(grace)) {
		t.Errorf("next at %v", at)
	}
	expect(t, string(r.State().JSON()), `{"count":1,"members":[{"user":"ann","connections":0}]}`)
	if left := r.Expire(noon.Add(grace)); len(left) != 1 || left[0] != ann {
		t.Errorf("%v left", left)
	}
	expect(t, tell(t, r, noon.Add(grace)), `change {"count":0,"left":[{"user":"ann"}]}`)
	if at := r.Next(); !at.IsZero() {
		t.Errorf("next at %v", at)
	}
}

// A person that comes back within the grace has never left.
func TestComingBackTellsNothing(t *testing.T) {
	r := NewRoster()
	r.Join(ann)
	tell(t, r, noon)
	for i := range 20 {
		at := noon.Add(time.Duration(i) * time.Minute)
		r.Leave(ann, grace, at)
		if r.Expire(at.Add(grace-1)) != nil || r.Join(ann) || !r.Next().IsZero() {
			t.Fatalf("time %d: somebody has come or left", i)
		}
	}
}

// Somebody who is not known has no grace, and neither has anybody if there is none.
func TestLeavingAtOnce(t *testing.T) {
	r := NewRoster()
	r.Join(guest)
	r.Join(ann)
	tell(t, r, noon)
	if !r.Leave(guest, grace, noon) || !r.Leave(ann, 0, noon) || r.Count() != 0 {
		t.Error("somebody is still there")
	}
	expect(t, tell(t, r, noon.Add(Pace)), `change {"count":0,"left":[{"id":"GUEST"},{"user":"ann"}]}`)
}

// Graces end in their order, whatever the order in which they have begun.
func TestGracesOfDifferentLengths(t *testing.T) {
	r := NewRoster()
	for i, d := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second} {
		p := Person{User: string(rune('a' + i))}
		r.Join(p)
		r.Leave(p, d, noon)
	}
	for i, want := range []string{"b", "c", "a"} {
		at := noon.Add(time.Duration(i+1) * time.Second)
		if left := r.Expire(at); len(left) != 1 || left[0].User != want {
			t.Errorf("%v left, want %s", left, want)
		}
	}
}

// What comes about within a tenth of a second is one change; what was undone is none.
func TestChangesAreGathered(t *testing.T) {
	r := NewRoster()
	r.Join(ann)
	expect(t, tell(t, r, noon), `change {"count":1,"joined":[{"user":"ann","connections":1}]}`)
	r.Join(guest)
	r.Leave(guest, 0, noon)
	if at := r.Next(); !at.IsZero() {
		t.Errorf("nothing is to be told at %v", at)
	}
	r.Join(bob)
	r.Join(guest)
	expect(t, tell(t, r, noon.Add(Pace-1)), "")
	expect(t, tell(t, r, noon.Add(Pace)), `change {"count":3,"joined":[{"user":"bob","connections":1},{"id":"GUEST"}]}`)
}

// Those who have come are told the state with the change that the others are told of them.
func TestNewcomers(t *testing.T) {
	r := NewRoster()
	r.Join(ann)
	r.Greet()
	tick, ok := r.Tick(noon)
	if !ok || string(tick.State.JSON()) != `{"count":1,"members":[{"user":"ann","connections":1}]}` || tick.State.Name() != "state" {
		t.Errorf("%+v", tick)
	}
	r.Join(ann) // a second connection is told the state, and nobody else anything
	r.Greet()
	if tick, ok = r.Tick(noon.Add(Pace)); !ok || tick.All {
		t.Errorf("%+v", tick)
	}
}

// If people are many, only their number is told, once a second. If they are few again, all are
// told a state.
func TestACrowd(t *testing.T) {
	r := NewRoster()
	join := func(n int) {
		for range n {
			r.Join(Person{ID: string(rune('A' + r.come))})
		}
	}
	join(MaxListed)
	if told := tell(t, r, noon); len(told) < 10*MaxListed {
		t.Errorf("told %s", told)
	}
	join(1)
	expect(t, tell(t, r, noon.Add(Pace)), `state {"count":201}`)
	join(1)
	expect(t, tell(t, r, noon.Add(time.Second)), "")
	r.Greet() // nor are those who come told a list that would not be kept up to date
	tick, _ := r.Tick(noon.Add(time.Second))
	expect(t, string(tick.State.JSON()), `{"count":201}`) // as the others know it
	expect(t, tell(t, r, noon.Add(Pace+CrowdPace)), `change {"count":202}`)
	r.Leave(Person{ID: "A"}, 0, noon)
	r.Join(Person{ID: "A"})
	if at := r.Next(); !at.IsZero() {
		t.Errorf("nothing is to be told at %v", at)
	}
	for range 2 {
		r.Leave(Person{ID: string(rune('A' + r.Count() - 1))}, 0, noon)
	}
	at := r.Next()
	tick, ok := r.Tick(at)
	if !ok || !tick.All || tick.Change.Name() != "state" || tick.Change.Count != MaxListed || len(tick.Change.joined) != MaxListed {
		t.Errorf("at %v: %s", at, tick.Change.JSON())
	}
	if !r.Next().IsZero() {
		t.Error("there is more to tell")
	}
}

// Names may be so long that a few people are too many.
func TestLongNames(t *testing.T) {
	r := NewRoster()
	long := Person{User: string(make([]byte, maxList))}
	r.Join(ann)
	r.Join(long)
	expect(t, tell(t, r, noon), `state {"count":2}`)
	r.Leave(long, 0, noon)
	expect(t, tell(t, r, noon.Add(CrowdPace)), `state {"count":1,"members":[{"user":"ann","connections":1}]}`)
}

// If nobody knows what has been told, all are told a state, once.
func TestRestate(t *testing.T) {
	r := NewRoster()
	r.Join(ann)
	tell(t, r, noon)
	r.Restate()
	expect(t, tell(t, r, noon.Add(Pace)), `state {"count":1,"members":[{"user":"ann","connections":1}]}`)
	if at := r.Next(); !at.IsZero() {
		t.Errorf("there is more to tell at %v", at)
	}
}

// News stays what it was when the roster changes: it is encoded later.
func TestNewsIsACopy(t *testing.T) {
	r := NewRoster()
	r.Join(ann)
	r.Join(guest)
	tick, _ := r.Tick(noon)
	state, revision := r.State(), r.Revision()
	r.Join(ann)
	r.Leave(guest, 0, noon)
	r.Join(bob)
	if r.Revision() == revision {
		t.Error("the revision is the same")
	}
	expect(t, string(state.JSON()), `{"count":2,"members":[{"user":"ann","connections":1},{"id":"GUEST"}]}`)
	expect(t, string(tick.Change.JSON()), `{"count":2,"joined":[{"user":"ann","connections":1},{"id":"GUEST"}]}`)
}
