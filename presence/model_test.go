package presence

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// view is what somebody has put together of what it was told.
type view struct {
	count  int
	people map[string]bool // nil if they are not listed
}

// said is news as it is read.
type said struct {
	name                  string
	Count                 *int
	Members, Joined, Left []struct{ User, ID string }
}

func read(t *testing.T, n News) (s said) {
	if err := json.Unmarshal(n.JSON(), &s); err != nil || s.Count == nil {
		t.Fatalf("%s, %v", n.JSON(), err)
	}
	s.name = n.Name()
	return s
}

func (v *view) take(t *testing.T, s said) {
	v.count = *s.Count
	if s.name == "state" {
		if v.people = nil; s.Members != nil {
			v.people = make(map[string]bool)
		}
	} else if v.people == nil && len(s.Joined)+len(s.Left) > 0 {
		t.Fatalf("told %+v without a list", s)
	}
	for _, p := range append(s.Members, s.Joined...) {
		if v.people[p.User+"/"+p.ID] {
			t.Fatalf("%v has come twice: %+v", p, s)
		}
		v.people[p.User+"/"+p.ID] = true
	}
	for _, p := range s.Left {
		if !v.people[p.User+"/"+p.ID] {
			t.Fatalf("%v was not there: %+v", p, s)
		}
		delete(v.people, p.User+"/"+p.ID)
	}
}

// visit is a connection of the model.
type visit struct {
	person  Person
	ignores bool // what it is told is not looked at: others are told the same
	told    bool // it was told a state
	view    view
}

// model is the simplest roster: it knows when everybody was last there.
type model struct {
	t       *testing.T
	random  *rand.Rand
	roster  *Roster
	now     time.Time
	visits  []*visit
	lastly  map[Person]time.Time // until when people are there that have no connection
	changes int
	last    time.Time // when all were told
}

func (m *model) there() map[string]bool {
	all := make(map[string]bool)
	for _, v := range m.visits {
		all[v.person.User+"/"+v.person.ID] = true
	}
	for p, until := range m.lastly {
		if until.After(m.now) {
			all[p.User+"/"+p.ID] = true
		}
	}
	return all
}

func (m *model) join(p Person) {
	before := len(m.there())
	m.visits = append(m.visits, &visit{person: p, ignores: len(m.visits) > 10 && m.random.IntN(10) > 0})
	if came := m.roster.Join(p); came != (len(m.there()) > before) {
		m.t.Fatalf("%v came: %v", p, came)
	}
	m.roster.Greet()
}

func (m *model) leave(i int, grace time.Duration) {
	p := m.visits[i].person
	m.visits = slices.Delete(m.visits, i, i+1)
	if p.User != "" && !slices.ContainsFunc(m.visits, func(v *visit) bool { return v.person == p }) {
		m.lastly[p] = m.now.Add(grace)
	}
	_, there := m.there()[p.User+"/"+p.ID]
	if left := m.roster.Leave(p, grace, m.now); left == there {
		m.t.Fatalf("%v left: %v", p, left)
	}
}

// pass lets time pass, and tells what is due.
func (m *model) pass(until time.Time) {
	for at := m.roster.Next(); !at.IsZero() && !at.After(until); at = m.roster.Next() {
		if at.After(m.now) {
			m.now = at
		}
		m.roster.Expire(m.now)
		tick, ok := m.roster.Tick(m.now)
		if ok {
			m.tell(tick)
		}
	}
	if until.After(m.now) {
		m.now = until
	}
}

func (m *model) tell(tick Tick) {
	if tick.All {
		if since := m.now.Sub(m.last); since < Pace || tick.Change.Name() == "change" && tick.Change.joined == nil && tick.Change.left == nil && since < CrowdPace {
			m.t.Fatalf("told again after %v: %s", since, tick.Change.JSON())
		}
		m.last = m.now
		m.changes++
	}
	state, change := read(m.t, tick.State), said{}
	if tick.All {
		change = read(m.t, tick.Change)
	}
	for _, v := range m.visits {
		switch {
		case v.ignores:
		case !v.told:
			v.told = true
			v.view.take(m.t, state)
		case !tick.All:
		case m.random.IntN(4) == 0: // it has not taken what it was told last
			v.view.take(m.t, state)
		default:
			v.view.take(m.t, change)
		}
	}
}

func (m *model) check() {
	want := m.there()
	if n := m.roster.Count(); n != len(want) {
		m.t.Fatalf("%d people, want %d", n, len(want))
	}
	for _, v := range m.visits {
		if v.ignores {
			continue
		}
		if v.view.count != len(want) || v.view.people != nil && !maps.Equal(v.view.people, want) {
			m.t.Fatalf("%v has put together %+v, want %v", v.person, v.view, want)
		}
		if v.view.people == nil && len(want) <= MaxListed {
			m.t.Fatalf("%v knows only the number", v.person)
		}
	}
}

// Whatever people do, what each has put together of what it was told is who is there, once
// nothing is left to be told.
func TestEverybodyKnowsWhoIsThere(t *testing.T) {
	for range 50 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func simulate(t *testing.T, random *rand.Rand) {
	m := &model{t: t, random: random, roster: NewRoster(), now: noon, lastly: make(map[Person]time.Time)}
	crowd := random.IntN(2) * MaxListed // some of them are about as many as are listed
	for i := range crowd {
		m.join(Person{ID: fmt.Sprint("crowd", i)})
	}
	for i := range 300 {
		switch n := random.IntN(10); {
		case n < 3:
			m.join(Person{User: fmt.Sprint(random.IntN(10))})
		case n < 5:
			m.join(Person{ID: fmt.Sprint("guest", i)})
		case n < 8 && len(m.visits) > 0:
			m.leave(random.IntN(len(m.visits)), time.Duration(random.IntN(3))*time.Second)
		default:
			m.pass(m.now.Add(time.Duration(random.IntN(1500)) * time.Millisecond))
		}
		if random.IntN(20) == 0 {
			m.roster.Restate()
		}
		if random.IntN(20) == 0 {
			m.pass(m.now.Add(time.Minute))
			m.check()
		}
	}
	m.pass(m.now.Add(time.Minute))
	m.check()
	if m.changes == 0 {
		t.Error("nothing was told")
	}
}
