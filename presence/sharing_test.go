package presence

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// shared returns a roster that is one of several nodes.
func shared(name string) *Roster {
	r := NewRoster()
	r.Share(name, noon.Add(-AnswerTime))
	return r
}

// pass has b hear what a has to tell, if there is anything.
func pass(t *testing.T, a, b *Roster, now time.Time) (passed bool) {
	t.Helper()
	l, ok := a.Publish(now)
	if !ok {
		return false
	}
	l, err := ParseList(l.Bytes(1 << 20))
	if err != nil {
		t.Fatal(err)
	}
	b.Hear(l, now)
	return true
}

// A user that is on two nodes is one member, and has left when it is on none.
func TestAUserOnTwoNodes(t *testing.T) {
	a, b := shared("a"), shared("b")
	if !a.Join(ann) || !b.Join(ann) {
		t.Error("a node knows more than by itself")
	}
	a.Join(guest)
	pass(t, a, b, noon)
	pass(t, b, a, noon)
	expect(t, string(b.State().JSON()), `{"count":2,"members":[{"user":"ann","connections":2},{"id":"GUEST"}]}`)
	tell(t, b, noon)
	a.Leave(guest, grace, noon)
	a.Leave(ann, 0, noon)
	at := noon.Add(Pace)
	pass(t, a, b, at)
	expect(t, tell(t, b, at), `change {"count":1,"left":[{"id":"GUEST"}]}`)
	expect(t, string(b.State().JSON()), `{"count":1,"members":[{"user":"ann","connections":1}]}`)
	if a.Here() != 0 || a.Count() != 1 {
		t.Errorf("%d here, %d there", a.Here(), a.Count())
	}
}

// A node that begins to listen asks the others, and they tell.
func TestANodeAsks(t *testing.T) {
	a, b := shared("a"), shared("b")
	a.Join(ann)
	a.Publish(noon) // which nobody hears
	if pass(t, a, b, noon.Add(Renewal*3/4)) {
		t.Error("told again early")
	}
	if !pass(t, b, a, noon) || !pass(t, a, b, noon.Add(Pace)) || b.Count() != 1 {
		t.Errorf("%d people are known", b.Count())
	}
	if pass(t, b, a, noon.Add(time.Hour)) {
		t.Error("a node without people tells that again")
	}
}

// A node that is not heard of is gone with its people, without any grace.
func TestANodeVanishes(t *testing.T) {
	a, b := shared("a"), shared("b")
	b.Join(bob)
	tell(t, b, noon)
	a.Join(ann)
	a.Join(guest)
	pass(t, a, b, noon)
	tell(t, b, noon.Add(Pace))
	b.Publish(noon)
	if b.Expire(noon.Add(Lifetime - 1)); b.Count() != 3 {
		t.Errorf("%d people", b.Count())
	}
	if left := b.Expire(noon.Add(Lifetime)); left != nil {
		t.Errorf("%v have left here", left)
	}
	expect(t, tell(t, b, noon.Add(Lifetime)), `change {"count":1,"left":[{"id":"GUEST"},{"user":"ann"}]}`)
}

// A node that cannot reach the others knows what it knew, and asks when it can again.
func TestANodeThatIsCutOff(t *testing.T) {
	a, b := shared("a"), shared("b")
	a.Join(ann)
	b.Join(bob)
	pass(t, a, b, noon)
	now := noon
	tell(t, b, now)
	for range 100 {
		if _, ok := b.Publish(now); ok {
			b.Unheard(now)
		}
		b.Expire(now)
		if b.Count() != 2 {
			t.Fatalf("after %v %d people are there", now.Sub(noon), b.Count())
		}
		now = b.Next()
	}
	if l, ok := b.Publish(now); !ok || !l.Asks {
		t.Errorf("%+v", l)
	}
	if b.Expire(now.Add(2 * Lifetime)); b.Count() != 1 {
		t.Errorf("%d people are known of a node that has gone", b.Count())
	}
}

// When the last of a node has left, and the others cannot be told, it is tried again until they can
// be, or know of nobody any more.
func TestTheOthersLearnThatTheLastHasLeft(t *testing.T) {
	for _, fails := range []int{0, 1, 2, 1000} {
		a, b := shared("a"), shared("b")
		a.Join(ann)
		pass(t, a, b, noon)
		a.Leave(ann, 0, noon)
		now, tries := a.Next(), 0
		for ; !a.IsDone(now); now = a.Next() {
			if tries++; tries > fails {
				pass(t, a, b, now)
				continue
			}
			a.Publish(now)
			a.Unheard(now)
			if a.IsDone(now) && now.Before(noon.Add(Lifetime)) {
				t.Errorf("given up after %v", now.Sub(noon))
			}
		}
		if isTold := fails < 1000; isTold && (b.Count() > 0 || tries != fails+1) || now.After(noon.Add(Lifetime+Renewal)) {
			t.Errorf("when %d tries fail %d people are known after %d tries, until %v", fails, b.Count(), tries, now.Sub(noon))
		}
	}
}

// A node of which nobody has heard has nobody to tell that all have left.
func TestNobodyKnowsOfANodeThatHasToldNothing(t *testing.T) {
	a := shared("a")
	a.Join(ann)
	if a.IsDone(noon) {
		t.Error("ann is not there")
	}
	if a.Leave(ann, 0, noon); !a.IsDone(noon) {
		t.Error("there is something to tell")
	}
}

// A node that has too many people for a list tells how many they are, and those elsewhere are
// not listed either.
func TestACrowdElsewhere(t *testing.T) {
	a, b := shared("a"), shared("b")
	for i := range MaxListed + 1 {
		a.Join(Person{ID: fmt.Sprint(i)})
	}
	b.Join(bob)
	pass(t, a, b, noon)
	expect(t, tell(t, b, noon), `state {"count":202}`)
	quiet := shared("quiet")
	tell(t, quiet, noon)
	quiet.Hear(a.here(), noon) // which names nobody
	expect(t, tell(t, quiet, noon.Add(Pace)), `state {"count":201}`)
	a.Leave(Person{ID: "0"}, 0, noon)
	pass(t, a, b, noon.Add(Pace))
	expect(t, string(b.State().JSON()), `{"count":201}`) // together they are too many still
	a.Leave(Person{ID: "1"}, 0, noon)
	pass(t, a, b, noon.Add(3*Pace))
	if s := string(b.State().JSON()); !strings.HasPrefix(s, `{"count":200,"members":[{"user":"bob"`) {
		t.Error(s)
	}
}

// What an engine takes may be less than a list.
func TestListsThatAreTooLarge(t *testing.T) {
	a, b := shared("a"), shared("b")
	a.Join(ann)
	a.Join(bob)
	l, _ := a.Publish(noon)
	if l, err := ParseList(l.Bytes(10)); err != nil || l.Count != 2 || l.People != nil {
		t.Errorf("%+v, %v", l, err)
	} else {
		b.Hear(l, noon)
	}
	expect(t, string(b.State().JSON()), `{"count":2}`)
}

// A node that ends leaves its users for as long as they may need to come back.
func TestFarewell(t *testing.T) {
	a, b := shared("a"), shared("b")
	a.Join(ann)
	a.Join(guest)
	pass(t, a, b, noon)
	b.Hear(a.Farewell(), noon)
	expect(t, string(b.State().JSON()), `{"count":1,"members":[{"user":"ann","connections":0}]}`)
	if b.Expire(noon.Add(Lifetime)); b.Count() != 0 {
		t.Errorf("%d people", b.Count())
	}
}

// What is no list is not taken for one.
func TestBrokenLists(t *testing.T) {
	one := 1
	whole := List{Node: "a", People: []entry{{User: "ann", Connections: &one}}}.Bytes(1 << 10)
	if _, err := ParseList(whole); err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		if _, err := ParseList(whole[:i]); err == nil {
			t.Errorf("%q is a list", whole[:i])
		}
	}
	for _, text := range []string{
		`{"node":""}`, `{"node":"a","count":-1}`, `{"node":"a","people":[{}]}`, `{"node":"a","people":[{"user":"x"}]}`,
		`{"node":"a","people":[{"user":"x","id":"y","connections":1}]}`, `{"node":"a","people":[{"id":"y","connections":-1}]}`,
		`{"node":"a","people":[` + strings.Repeat(`{"id":"y","connections":1},`, MaxListed) + `{"id":"y","connections":1}]}`,
	} {
		if _, err := ParseList(append([]byte{listFormat}, text...)); err == nil {
			t.Errorf("%s is a list", text)
		}
	}
	if IsList(bytes.Replace(whole, []byte{listFormat}, []byte{1}, 1)) {
		t.Error("another format is a list")
	}
}

// Whatever is lost between nodes, and whichever are killed, those that are left agree once
// nothing changes any more.
func TestNodesAgree(t *testing.T) {
	for range 50 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) { agree(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

// station is a node of the test, and its connections.
type station struct {
	*Roster
	visits []Person
	sent   []List // that are on their way to it
}

func agree(t *testing.T, random *rand.Rand) {
	stations := make([]*station, 4)
	for i := range stations {
		stations[i] = &station{Roster: shared(fmt.Sprint("node", i))}
	}
	now := noon
	step := func(loss int) {
		now = now.Add(50 * time.Millisecond)
		for _, s := range stations {
			s.Expire(now)
			s.Tick(now)
			l, ok := s.Publish(now)
			if !ok {
				continue
			}
			if random.IntN(10) < loss/3 {
				s.Unheard(now)
				continue
			}
			for _, other := range stations {
				if random.IntN(10) >= loss {
					other.sent = append(other.sent, l)
				}
			}
		}
		for _, s := range stations {
			for len(s.sent) > 0 && random.IntN(3) > 0 {
				s.Hear(s.sent[0], now)
				s.sent = s.sent[1:]
			}
		}
	}
	for i := range 400 {
		s := stations[random.IntN(len(stations))]
		switch n := random.IntN(10); {
		case n < 3:
			p := Person{User: fmt.Sprint(random.IntN(8))}
			s.visits = append(s.visits, p)
			s.Join(p)
		case n < 5:
			p := Person{ID: fmt.Sprint("guest", i)}
			s.visits = append(s.visits, p)
			s.Join(p)
		case n < 8 && len(s.visits) > 0:
			k := random.IntN(len(s.visits))
			s.Leave(s.visits[k], time.Second, now)
			s.visits = append(s.visits[:k], s.visits[k+1:]...)
		}
		step(4)
		if i == 300 {
			stations = stations[1:] // the first is killed
		}
	}
	for range 2000 {
		step(0)
	}
	want := make(map[Person]int)
	for _, s := range stations {
		for _, p := range s.visits {
			want[p]++
		}
	}
	for _, s := range stations {
		got := make(map[Person]int)
		for p, stay := range s.people {
			got[p] = stay.connections
		}
		if !maps.Equal(got, want) {
			t.Fatalf("%s knows %v, want %v", s.self, got, want)
		}
		if at := s.nextTick(); !at.IsZero() {
			t.Fatalf("%s has still to tell", s.self)
		}
	}
}

// After a loss a node tells and asks at once, also if it could not do so a moment ago.
func TestANodeAsksAfterALoss(t *testing.T) {
	a, b := shared("a"), shared("b")
	a.Join(ann)
	b.Join(bob)
	pass(t, b, a, noon)
	if _, ok := a.Publish(noon); !ok {
		t.Fatal("nothing is told")
	}
	a.Ask() // while that is on its way
	a.Unheard(noon)
	if !pass(t, a, b, noon) || b.Count() != 2 {
		t.Errorf("%d people are known", b.Count())
	}
	if !pass(t, b, a, noon.Add(Pace)) {
		t.Error("the answer is missing")
	}
	alone := NewRoster()
	if alone.Ask(); !alone.Next().IsZero() {
		t.Error("a node without others asks")
	}
}

// A node that begins tells its people nothing until the others have had the time to answer,
// unless they cannot be reached.
func TestTheFirstOfANodeWaitsForTheOthers(t *testing.T) {
	a, b := shared("a"), NewRoster()
	a.Join(ann)
	a.Publish(noon)
	b.Share("b", noon)
	b.Join(bob)
	b.Greet()
	if at := b.nextTick(); at != noon.Add(AnswerTime) {
		t.Errorf("told after %v", at.Sub(noon))
	}
	if !pass(t, b, a, noon) || !pass(t, a, b, noon.Add(Pace)) {
		t.Fatal("they do not tell each other")
	}
	expect(t, tell(t, b, noon.Add(AnswerTime)), `change {"count":2,"joined":[{"user":"bob","connections":1},{"user":"ann","connections":1}]}`)
	alone := NewRoster()
	alone.Share("alone", noon)
	alone.Join(bob)
	alone.Unheard(noon)
	expect(t, tell(t, alone, noon), `change {"count":1,"joined":[{"user":"bob","connections":1}]}`)
}

// A node with a crowd answers as soon as others.
func TestACrowdAnswersSoon(t *testing.T) {
	a, b := shared("a"), shared("b")
	for i := range MaxListed + 1 {
		a.Join(Person{ID: fmt.Sprint(i)})
	}
	a.Publish(noon)
	pass(t, b, a, noon)
	if !pass(t, a, b, noon.Add(Pace)) || b.Count() != MaxListed+1 {
		t.Errorf("%d people are known", b.Count())
	}
}
