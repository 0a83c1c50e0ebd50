package replica

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
)

// parseOps returns operations in the form "<id> <number>" or "<number>". An id may be
// behind a user, "alice/c:1", and before a point, "c:1@EPOCHEPO-7".
func parseOps(t *testing.T, lines ...string) (batch []Operation) {
	t.Helper()
	for _, line := range lines {
		head, number, ok := strings.Cut(line, "=")
		if !ok {
			batch = append(batch, Operation{Data: []byte(line)})
			continue
		}
		head, at, hasPoint := strings.Cut(head, "@")
		user, id, ok := strings.Cut(head, "/")
		if !ok {
			user, id = "", head
		}
		parsed, err := ParseKey(id)
		if err != nil {
			t.Fatal(err)
		}
		o := &Once{ID: parsed, User: user, Network: "192.0.2.1"}
		if hasPoint {
			if o.At, err = ParsePoint(at); err != nil {
				t.Fatal(err)
			}
		}
		batch = append(batch, Operation{Data: []byte(number), Once: o})
	}
	return batch
}

// does commits operations and compares what came of each; a repeat has a "=" before it.
func (r *room) does(lines []string, want ...string) {
	r.Helper()
	results := r.Commit(r.Context(), parseOps(r.T, lines...))
	got := told(results)
	for i := range got {
		if results[i].Repeat {
			got[i] = "=" + got[i]
		}
	}
	if !slices.Equal(got, want) {
		r.Errorf("%q gave %q, expected %q", lines, got, want)
	}
}

func do(lines ...string) []string { return lines }

const (
	theKey      = "a key of somebody"
	unavailable = "!unavailable, try again later"
	reused      = "!this id was given to another operation"
	notKnown    = "!this client is not known here: its operations may have counted"
	mayHave     = "!may have counted: this is too long ago to know"
	retryUnsure = "!outcome unknown, retry with the same id"
)

func TestNumbersOfAClient(t *testing.T) {
	r := newRoom(t)
	r.does(do("c:2=1", "c:1=2", "c:1=2", "c:3=1", "c:2=3"), notKnown, "2@1", "=2@1", "!expected c:2", "5@2")
	r.does(do("c:1=2", "c:2=3", "c:4=1", "c:3=4"), "=2@1", "=5@2", "!expected c:3", "9@3")
	r.does(do("c:3=5", "c:1=3", "c:2=3"), reused, reused, "=5@2")
	r.again()
	r.does(do("c:1=2", "c:3=4", "c:3=5", "c:5=1", "c:4=1"), "=2@1", "=9@3", reused, "!expected c:4", "10@4")
	r.shows("10@4")
}

// What the app has refused unapplied is told from another message under the same id,
// and is a repeat of what was applied for it, before or afterwards.
func TestRepeatsThatTheAppRefuses(t *testing.T) {
	r := newRoom(t)
	for _, id := range []string{"c:1", theKey} {
		refused := func(id, message string) Operation {
			op := parseOps(t, id+"="+message)[0]
			op.Refusal, op.ByApp = errors.New("not now"), true
			return op
		}
		other := map[string]string{"c:1": "d:1", theKey: "another key of hers"}[id]
		batch := []Operation{
			parseOps(t, id+"=0")[0], refused(id, "three"), refused(id, "four"),
			refused(other, "five"), refused(other, "five"), refused(other, "six"), parseOps(t, other+"=5")[0],
		}
		version := r.Snapshot().Version + 1
		first := fmt.Sprintf("0@%d", version)
		want := do(first, first, first, "!not now", "!not now", reused, "!not now")
		results := r.Commit(t.Context(), batch)
		if got := told(results); !slices.Equal(got, want) || !results[1].Repeat || results[3].Repeat || !results[4].Repeat || !results[6].Repeat {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
		r.again()
		want[3] = "!not now"
		if got := told(r.Commit(t.Context(), batch)); !slices.Equal(got, want) {
			t.Errorf("%s after a restart: %q, want %q", id, got, want)
		}
	}
}

// A client's name is that of its user; others have their own.
func TestNamesAreOfTheUser(t *testing.T) {
	r := newRoom(t)
	r.does(do("c:1=1", "alice/c:1=2", "bob/c:1=3", "d:1=4", "c:1=1", "alice/c:1=2"), "1@1", "3@2", "6@3", "10@4", "=1@1", "=3@2")
	r.does(do(theKey+"=1", "alice/"+theKey+"=2", theKey+"=1", "alice/"+theKey+"=1"), "11@5", "13@6", "=11@5", reused)
	if nameOf("ab", ID{"c", 1}) == nameOf("a", ID{"bc", 1}) || nameOf("", ID{"a", 1}) == nameOf("a", ID{"", 1}) ||
		nameOf("", ID{"a", 1}) == nameOf("", ID{"a", 0}) || nameOf("", ID{"a", 1}) != nameOf("", ID{"a", 2}) {
		t.Error("names are taken for others")
	}
	if ownerOf("a", "b") != ownerOf("a", "c") || ownerOf("", "b") == ownerOf("", "c") || ownerOf("a", "") == ownerOf("", "a") {
		t.Error("owners are taken for others")
	}
}

func TestKeysOfTheirOwn(t *testing.T) {
	r := newRoom(t)
	r.does(do(theKey+"=2", theKey+"=2", theKey+"=3", "another one of these=3"), "2@1", "=2@1", reused, "5@2")
	r.again()
	r.does(do(theKey+"=2", theKey+"=4"), "=2@1", reused)
	for i := range maxNames {
		r.does(do(fmt.Sprintf("key number %08d=0", i)), fmt.Sprintf("5@%d", i+3))
	}
	r.does(do(theKey+"=2"), fmt.Sprintf("7@%d", maxNames+3)) // it is forgotten
	r.does(do("key number 00000001=0", "key number 00001023=0"), "=5@4", "=5@1026")
}

// Each answer of the app uses up a number, and is stored before it is told.
func TestWhatUsesUpANumber(t *testing.T) {
	r := newRoom(t)
	r.does(do("c:1=x"), "!not a number")
	r.again()
	r.shows("0@0")
	if !r.IsStored() {
		t.Error("a refusal is not stored")
	}
	r.does(do("c:1=x", "c:1=1", "c:2=13", "c:3=2"), "=!not a number", reused, "!panic", "2@1")
	r.does(do("c:2=13", "c:2=1", "c:3=2"), "=!the app failed on this operation", reused, "=2@1")
	r.does(do("c:4=13", theKey+"=13"), "!panic", "!panic")
	r.again()
	r.does(do("c:4=13", theKey+"=13", "c:5=1"), "=!the app failed on this operation", "=!the app failed on this operation", "3@2")
	var e *Error
	if res := r.Commit(t.Context(), parseOps(t, "c:4=13", "c:1=x", "c:9=1")); res[0].Panicked || !errors.As(res[0].Err, &e) || e.Code != CodeFailed ||
		!errors.As(res[1].Err, &e) || e.Code != CodeRefused || !errors.As(res[2].Err, &e) || e.Code != CodeExpected || !e.Retry {
		t.Errorf("%+v", res)
	}
}

// What is refused here uses up no number, and later ones wait for it.
func TestWhatUsesUpNoNumber(t *testing.T) {
	r := newRoom(t)
	ops := parseOps(t, "c:1=1", "c:2=2", "c:3=3")
	ops[1].Refusal = errors.New("too fast")
	if got := told(r.Commit(t.Context(), ops)); !slices.Equal(got, do("1@1", "!too fast", "!expected c:2")) {
		t.Errorf("%q", got)
	}
	r.engine.swaps = repeated(1, refuse)
	r.does(do("c:2=2", "c:3=3", "x", "c:1=1"), unavailable, unavailable, "!not a number", "=1@1")
	r.does(do("c:3=3", "c:2=2", "c:3=3"), "!expected c:2", "3@2", "6@3")
	bytes, _, _ := r.engine.Engine.Load(t.Context(), key)
	r.engine.max = len(bytes) + 90
	r.does(do("c:4=200", "c:5=1", "c:4=1", "c:5=200", "c:5=2"), "!room is full", "!expected c:4", "7@4", "!room is full", "9@5")
}

// An answer that depends on what could not be stored is not told.
func TestAnswersOfAFailedBatch(t *testing.T) {
	r := newRoom(t)
	r.does(do("c:1=1", theKey+"=2"), "1@1", "3@2")
	r.engine.swaps = repeated(1, refuse)
	r.does(do("c:2=2", "c:2=2", "c:2=3", "c:4=1", "c:3=x", "c:1=1", theKey+"=2", "c:1=9", "4"),
		unavailable, unavailable, unavailable, unavailable, unavailable, "=1@1", "=3@2", unavailable, unavailable)
	r.does(do("c:2=2"), "5@3")
}

// While an outcome is open, a retry of what it is about is not told that it does not
// count.
func TestRetriesWhileAnOutcomeIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.does(do("c:1=1"), "1@1")
		r.engine.alwaysSwap = lose
		r.does(do("c:2=2", "c:1=1", "alice/"+theKey+"=3", "4", "c:3=x"), retryUnsure, "=1@1", retryUnsure, "!outcome unknown", retryUnsure)
		r.does(do("c:2=2", "c:3=x", "alice/"+theKey+"=3", theKey+"=3", "4", "c:1=1"), retryUnsure, retryUnsure, retryUnsure, unavailable, unavailable, "=1@1")
		var e *Error
		if res := r.Commit(t.Context(), parseOps(t, "c:2=2")); !errors.Is(res[0].Err, ErrUnknown) || !errors.As(res[0].Err, &e) || !e.Retry {
			t.Errorf("%+v", res)
		}
		r.engine.alwaysSwap = nil
		r.does(do("c:2=2", "c:3=x", "alice/"+theKey+"=3", "c:4=1"), "=3@2", "=!not a number", "=6@3", "11@5")
		if late := told(r.Late()); !slices.Equal(late, do("3@2", "6@3", "10@4")) {
			t.Errorf("late are %q", late)
		}
	})
}

// What is not stored is not taken for a repeat, also when the state is lost over it.
func TestNoRepeatOfWhatIsNotStored(t *testing.T) {
	newer := func(r *room, answer error) func(func() error) error {
		return func(func() error) error {
			_, rev, _ := r.engine.Engine.Load(t.Context(), key)
			_, err := r.engine.Engine.Swap(t.Context(), key, rev, engines.Value{State: []byte("\x09 of a newer version")})
			return errors.Join(err, answer)
		}
	}
	for name, test := range map[string]struct {
		fails func(r *room)
		told  string
	}{
		"beaten by what cannot be read": {func(r *room) { r.engine.swaps = append(r.engine.swaps, newer(r, engines.ErrConflict)) }, unavailable},
		"lost to what cannot be read":   {func(r *room) { r.engine.swaps = append(r.engine.swaps, newer(r, errTimeout)) }, retryUnsure},
		"refused, and not undone": {func(r *room) {
			r.engine.swaps = repeated(1, refuse)
			r.app.fault["UnmarshalBinary"] = 1
		}, unavailable},
		"given up by the room": {func(r *room) {
			r.ids.clients.put(nameOf("", ID{"c", 1}), known{last: 2, digest: digestOf([]byte("2"))})
			r.Unload()
			r.engine.load = append(r.engine.load, fail)
		}, unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.does(do("c:1=1", theKey+"=2"), "1@1", "3@2")
			test.fails(r)
			r.does(do("c:2=2", "c:1=1", "another key of hers=1", "d:1=1", "c:1=1"), test.told, "=1@1", test.told, test.told, "=1@1")
		})
	}
}

// An id counts once over all processes.
func TestRetriesToAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.does(do("c:1=1"), "1@1")
		rival := r.rival()
		rival.does(do("c:1=1", "c:2=2"), "=1@1", "3@2")
		r.does(do("c:2=2", "c:3=3", "c:4=4"), "=3@2", "6@3", "10@4")
		rival.does(do("c:3=3"), "=6@3") // which it has not seen
		rival.does(do("c:4=5"), reused)
		r.engine.swaps = repeated(1, hide)
		r.engine.load = append(r.engine.load, func() error { rival.does(do("c:5=5", "c:6=6"), "=15@5", "21@6"); return nil })
		r.does(do("c:5=5"), "15@5")
	})
}

// The first answer is the one of repeats as long as there is place for it, and then the
// present state.
func TestAnswersThatAreNotKept(t *testing.T) {
	r := newRoom(t)
	r.does(do("c:1=1", "c:2=2", theKey+"=0"), "1@1", "3@2", "3@3")
	for i := range 3000 {
		r.does(do(fmt.Sprintf("d:%d=0", i+1)), fmt.Sprintf("3@%d", i+4))
	}
	if size := r.ids.size(); size > maxIDsSize || size < maxIDsSize-100 || len(r.stored.ids) != size {
		t.Errorf("%d bytes", size)
	}
	r.does(do("c:1=9", "c:2=2", "c:2=3", theKey+"=0", theKey+"=1", "d:3000=0", "d:1=0", "1", "c:1=1"),
		"=4@3004", "=4@3004", reused, "=4@3004", reused, "=3@3003", "=4@3004", "4@3004", "=4@3004")
	r.again()
	r.does(do("c:1=1", "c:2=2", "d:3000=0"), "=4@3004", "=4@3004", "=3@3003")
	r.engine.swaps = repeated(1, refuse)
	r.does(do("c:1=1", "1"), "=4@3004", unavailable)
}

// The present state is that of all processes.
func TestThePresentStateForARepeat(t *testing.T) {
	r := newRoom(t)
	r.does(do("c:1=1"), "1@1")
	for i := range 3000 {
		r.does(do(fmt.Sprintf("d:%d=0", i+1)), fmt.Sprintf("1@%d", i+2))
	}
	rival := r.rival()
	rival.does(do("1"), "2@3002")
	r.engine.load = append(r.engine.load, fail)
	r.does(do("c:1=1"), "=1@3001") // or the newest that is known, while nothing can be read
	r.does(do("c:1=1"), "=2@3002")
}

// A long answer is not kept; neither text nor JSON is lost otherwise.
func TestLongAnswers(t *testing.T) {
	for _, size := range []int{0, 1, maxAnswer - 1, maxAnswer} {
		r := new(Replica)
		m := (&Once{ID: ID{"c", 1}}).mark(nil)
		body := apps.Body{Text: []byte(strings.Repeat("t", size)), JSON: []byte("{")}
		r.remember(&Once{ID: ID{"c", 1}}, m, 1, Result{Version: 1, Outcome: apps.Outcome{Reply: body}})
		res := r.repeat(m)
		if kept := size < maxAnswer; res.present == kept || kept && (string(res.Outcome.Reply.Text) != string(body.Text) || string(res.Outcome.Reply.JSON) != "{") {
			t.Errorf("%d bytes: %+v", size, res)
		}
		if size == maxAnswer && len(r.ids.answers.log) != answerHeader {
			t.Errorf("%d bytes are kept", len(r.ids.answers.log))
		}
	}
}

// An answer that was given does not change when others are kept.
func TestAnswersAreTheCallers(t *testing.T) {
	r := newRoom(t)
	r.does(do("c:1=1"), "1@1")
	first := r.Commit(t.Context(), parseOps(t, "c:1=1"))
	r.ids.answers.log = append(r.ids.answers.log[:0], make([]byte, len(r.ids.answers.log))...)
	if got := told(first); got[0] != "1@1" {
		t.Errorf("%q", got)
	}
}

// A client may have seen a point of before a client was forgotten, or of another life
// of the room.
func TestPointsOfFirstOperations(t *testing.T) {
	r := newRoom(t)
	epoch := r.Snapshot().Epoch
	r.does(do("a:1@OTHEREPO-0=1", "a:1@"+epoch+"-0=1", "b:1=1", "c:1@"+epoch+"-0=1"), mayHave, "1@1", "2@2", "3@3")
	for i := range maxNames - 3 {
		r.Commit(t.Context(), parseOps(t, fmt.Sprintf("more%d:1=0", i)))
	}
	v := 3 + maxNames - 3
	r.does(do("b:2=0", "c:2=0"), fmt.Sprintf("3@%d", v+1), fmt.Sprintf("3@%d", v+2))
	r.does(do("new:1=0"), fmt.Sprintf("3@%d", v+3)) // and a is forgotten, which was used at 1
	r.does(do("a:1@"+epoch+"-0=1", "a:2@"+epoch+"-0=1", "b:1@"+epoch+"-0=1"), mayHave, notKnown, "=2@2")
	r.again()
	r.does(do("a:1@"+epoch+"-0=1", "a:1@"+epoch+"-1=1"), mayHave, fmt.Sprintf("4@%d", v+4)) // more0 is forgotten, at 4
	r.does(do("d:1@"+epoch+"-3=1", "d:1@"+epoch+"-4=1"), mayHave, fmt.Sprintf("5@%d", v+5))
	r.does(do("e:1=1", "e:2@"+epoch+"-0=1"), fmt.Sprintf("6@%d", v+6), fmt.Sprintf("7@%d", v+7))
}

// Those of an owner with more than its share are forgotten before others, and nobody
// is refused for lack of places.
func TestOwnersWithMoreThanTheirShare(t *testing.T) {
	var c names
	put := func(prefix, network string, i int, used uint64) {
		c.put(nameOf("", ID{prefix + strconv.Itoa(i), 1}), known{owner: ownerOf("", network), last: 1, used: used})
	}
	has := func(prefix string, i int) bool {
		_, ok := c.find(nameOf("", ID{prefix + strconv.Itoa(i), 1}))
		return ok
	}
	version := uint64(0)
	add := func(prefix, network string, n int) {
		for i := range n {
			version++
			put(prefix, network, i, version)
		}
	}
	add("old", "a", ownerShare)
	add("greedy", "b", maxNames-ownerShare)
	add("visitor", "c", 100)
	for i := range ownerShare {
		if !has("old", i) {
			t.Fatalf("old client %d is forgotten", i)
		}
	}
	for i := range maxNames - ownerShare {
		if has("greedy", i) != (i >= 100) {
			t.Fatalf("greedy client %d: %v", i, has("greedy", i))
		}
	}
	if c.horizon != ownerShare+100 {
		t.Errorf("horizon is %d", c.horizon)
	}
	for i := range 10000 { // each from an address of its own
		version++
		put("honest", strconv.Itoa(i), i, version)
	}
	for i := range 10000 {
		if has("honest", i) != (i >= 10000-maxNames) {
			t.Fatalf("honest client %d: %v", i, has("honest", i))
		}
	}
	if c.len() != maxNames || !has("honest", 9999) || c.greedy != 0 {
		t.Errorf("%d places, %d are greedy", c.len(), c.greedy)
	}
	add("greedy", "b", 500)
	copied := new(names)
	copied.restore(nameParts{records: c.records})
	copied.countAll()
	if copied.greedy != 1 || c.greedy != 1 || !maps.Equal(copied.owners, c.owners) {
		t.Errorf("%d owners, restored %d", len(c.owners), len(copied.owners))
	}
	for i := range c.len() {
		if got := c.place(name(c.record(i)[:16])); got != i || copied.place(name(c.record(i)[:16])) != i {
			t.Fatalf("record %d is found at %d", i, got)
		}
	}
}

// A user that has more than its share has only its own operations refused, and those
// also when much else has happened since.
func TestAUserThatFloodsARoom(t *testing.T) {
	for kind, id := range map[string]string{"clients": "flood%d:1", "keys": "a key of a flood %d"} {
		t.Run(kind, func(t *testing.T) {
			r := newRoom(t)
			at := "@" + r.Snapshot().Epoch + "-"
			send := func(user string, i int, at string) Result {
				return r.Commit(t.Context(), parseOps(t, user+"/"+fmt.Sprintf(id, i)+at+"=1"))[0]
			}
			send("bob", 0, at+"0")
			for i := range 1500 {
				send("mallory", i, at+"0")
			}
			r.again()
			for i := range 300 {
				if res := send("alice"+strconv.Itoa(i), 0, at+"0"); res.Err != nil || res.Repeat {
					t.Fatalf("operation %d of another: %+v", i, res)
				}
				if send("mallory", 2000+i, at+strconv.FormatUint(r.Snapshot().Version, 10)).Err != nil {
					t.Fatal("a fresh operation is refused")
				}
			}
			for i := range 2300 {
				switch res := send("mallory", i, at+"0"); {
				case i >= 1500 && i < 2000: // never made
				case !res.Repeat && !errors.Is(res.Err, errMayHaveCounted):
					t.Fatalf("operation %d counts again: %+v", i, res)
				}
			}
			if res := send("bob", 0, at+"0"); !res.Repeat {
				t.Errorf("%+v", res)
			}
		})
	}
}

// If more users flood a room than it has horizons for, the oldest is everybody's.
func TestMoreHorizonsThanPlaces(t *testing.T) {
	var c names
	version := uint64(0)
	for i := range maxHorizons + 2 {
		for k := range 1000 {
			version++
			user := "user" + strconv.Itoa(i)
			c.put(nameOf(user, ID{strconv.Itoa(k), 1}), known{owner: ownerOf(user, ""), last: 1, used: version})
		}
	}
	if len(c.own) != maxHorizons || c.horizon == 0 || c.horizon > 3000 {
		t.Errorf("horizon %d and %v", c.horizon, c.own)
	}
	for i := range maxHorizons + 2 {
		user := "user" + strconv.Itoa(i)
		end := c.horizonOf(ownerOf(user, ""))
		for k := range 1000 {
			if _, ok := c.find(nameOf(user, ID{strconv.Itoa(k), 1})); !ok && end < uint64(1000*i+k+1) {
				t.Fatalf("horizon %d of %s is before what was forgotten at %d", end, user, 1000*i+k+1)
			}
		}
	}
	room, own, rest, ok := parseHorizons(append(c.appendHorizons(nil), "rest"...))
	if !ok || room != c.horizon || !slices.Equal(own, c.own) || string(rest) != "rest" {
		t.Errorf("%d, %v, %q, %v", room, own, rest, ok)
	}
}

// A key may have counted before another was forgotten, or in another life of the room.
func TestPointsOfKeys(t *testing.T) {
	r := newRoom(t)
	at := "@" + r.Snapshot().Epoch
	r.does(do(theKey+at+"-0=2", theKey+at+"-0=2", "another one of these@OTHEREPO-0=2"), "2@1", "=2@1", mayHave)
	var batch []Operation
	for i := range maxNames {
		batch = append(batch, Operation{Data: []byte("0"), Once: &Once{ID: ID{Name: fmt.Sprint("key number ", i)}, Network: strconv.Itoa(i)}})
	}
	r.Commit(t.Context(), batch)
	r.does(do(theKey+at+"-0=2", "c:1"+at+"-0=0"), mayHave, fmt.Sprintf("2@%d", maxNames+2)) // a client has its own horizon
	r.again()
	r.does(do(theKey+at+"-0=2", "another one of these"+at+"-1=1"), mayHave, fmt.Sprintf("3@%d", maxNames+3))
}

// The keys of one owner are forgotten before those of others.
func TestTheShareOfKeys(t *testing.T) {
	r := newRoom(t)
	r.does(do(theKey+"=2"), "2@1")
	for i := range 3000 {
		o := &Once{ID: ID{Name: fmt.Sprint("key number ", i)}, Network: "203.0.113.1"}
		r.Commit(t.Context(), []Operation{{Data: []byte("0"), Once: o}})
	}
	if res := r.Commit(t.Context(), parseOps(t, theKey+"=2"))[0]; res.Err != nil || !res.Repeat {
		t.Errorf("%+v", res)
	}
}

// Clients that were used at one version are forgotten in the order in which they came.
func TestForgettingAtOneVersion(t *testing.T) {
	var c names
	for i := range maxNames + 500 {
		c.put(nameOf("", ID{strconv.Itoa(i), 1}), known{owner: ownerOf("", strconv.Itoa(i)), last: 1})
	}
	for i := range maxNames + 500 {
		if _, ok := c.find(nameOf("", ID{strconv.Itoa(i), 1})); ok != (i >= 500) {
			t.Fatalf("client %d: %v", i, ok)
		}
	}
}

// An owner stays the one that it was when the client came.
func TestAnOwnerStays(t *testing.T) {
	var c names
	n := nameOf("", ID{"c", 1})
	c.put(n, known{owner: ownerOf("", "a"), last: 1})
	c.put(n, known{owner: ownerOf("", "b"), last: 2, used: 7, digest: digest{1}})
	want := known{owner: ownerOf("", "a"), last: 2, used: 7, digest: digest{1}}
	if got, ok := c.find(n); !ok || got != want || c.len() != 1 {
		t.Errorf("%+v", got)
	}
}

// What is refused for an id is refused by what all processes have stored.
func TestRefusalsByWhatIsKnown(t *testing.T) {
	r := newRoom(t)
	r.does(do("c:1=1"), "1@1")
	rival := r.rival()
	rival.does(do("c:2=2", "d:1=1", "d:2=2"), "3@2", "4@3", "6@4")
	r.engine.calls = nil
	r.does(do("c:3=3"), "9@5") // beyond what it knew, which it looks up
	if got := strings.Join(r.engine.calls, " "); got != "load swap" {
		t.Errorf("the engine was asked to %s", got)
	}
	rival.does(do("c:4=4", "d:3=1"), "13@6", "14@7")
	r.does(do("c:5=5", "d:3=1", "e:2=1"), "19@8", "=14@7", notKnown)
	rival.does(do("c:7=1"), "!expected c:6")

	r.engine.load = append(r.engine.load, fail)
	r.does(do("c:7=7", "x"), unavailable, "!not a number")
	r.does(do("c:7=7", "x"), "!expected c:6", "!not a number")
	if err := rival.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.does(do("c:7=7"), notKnown)
	r.shows("0@0")
	if r.IsStored() {
		t.Error("it is stored")
	}
}

// A place that is kept in the order of the answers stays what it is.
func TestAPlaceInAFailedBatch(t *testing.T) {
	r := newRoom(t)
	ops := parseOps(t, "c:1=1", "c:2=2", "3")
	ops[1].Refusal, ops[2].Refusal = errors.New("no"), errors.New("nor this")
	r.engine.swaps = repeated(1, refuse)
	if got := told(r.Commit(t.Context(), ops)); !slices.Equal(got, do(unavailable, "!no", "!nor this")) {
		t.Errorf("%q", got)
	}
}

// Tables that are cut, or say what is not so, are not read.
func TestDamagedTables(t *testing.T) {
	table := some()
	sound := table.appendTo(nil)
	if _, ok := divideIDs(sound); !ok {
		t.Fatal("a sound table is not read")
	}
	answers := len(sound) - len(table.answers.log)
	for n := range sound {
		if _, ok := divideIDs(sound[:n]); ok && n != answers && n != answers+answerHeader {
			t.Errorf("%d bytes are read", n)
		}
	}
	for name, damage := range map[string]func(p []byte) []byte{
		"no clients and keys": func(p []byte) []byte { return make([]byte, idsHeader) },
		"more horizons":       func(p []byte) []byte { p[8] = 8; return p[:100] },
		"too many horizons": func(p []byte) []byte {
			return append(make([]byte, 8), append([]byte{9}, append(make([]byte, 9*horizonSize), p[9:]...)...)...)
		},
		"too many of keys": func(p []byte) []byte {
			return append(append(slices.Clone(p[:17]), 9), append(make([]byte, 9*horizonSize), p[18:]...)...)
		},
		"more clients":          func(p []byte) []byte { p[18] = 200; return p },
		"too many clients":      func(p []byte) []byte { p[18], p[19] = 1, 4; return append(p, make([]byte, 1030*nameSize)...) },
		"more keys":             func(p []byte) []byte { p[20] = 200; return p },
		"too many keys":         func(p []byte) []byte { p[20], p[21] = 1, 4; return append(p, make([]byte, 1030*nameSize)...) },
		"a shorter answer":      func(p []byte) []byte { p[answers] = 36; return p },
		"a longer answer":       func(p []byte) []byte { p[answers] = 38; p[answers+answerHeader] = 36; return p },
		"no size":               func(p []byte) []byte { p[answers] = 0; return p },
		"another kind":          func(p []byte) []byte { p[answers+2] = answerKinds; return p },
		"a text that is longer": func(p []byte) []byte { p[answers+3] = 1; return p },
		"too large":             func(p []byte) []byte { return append(p, make([]byte, maxIDsSize)...) },
	} {
		if _, ok := divideIDs(damage(slices.Clone(sound))); ok {
			t.Errorf("%s is read", name)
		}
	}
}

// Neither the order nor the number of clients and keys is more than there is place for.
func TestTheSizeOfAFullTable(t *testing.T) {
	r := fullReplica()
	size := r.ids.size()
	if n, k := len(r.ids.clients.records)/nameSize, len(r.ids.keys.records)/nameSize; n != maxNames || k != maxNames || size > maxIDsSize || size < maxIDsSize-200 {
		t.Errorf("%d clients, %d keys, %d bytes", n, k, size)
	}
	p := r.ids.appendTo(nil)
	again := new(ids)
	again.restore(p)
	if _, ok := divideIDs(p); !ok || len(p) != size || string(again.appendTo(nil)) != string(p) {
		t.Error("it does not come back")
	}
}

// fullReplica has a full table.
func fullReplica() *Replica {
	r := new(Replica)
	reply := apps.Outcome{Reply: apps.Body{Text: []byte("1234567"), JSON: []byte(`{"count":1234567,"sum":"123456.78"}`)}}
	for i := range uint64(2000) {
		for _, o := range []*Once{
			{ID: ID{"client" + strconv.FormatUint(i, 10), 1}, Network: strconv.FormatUint(i/2, 10)},
			{ID: ID{"another key " + strconv.FormatUint(i, 10), 0}},
		} {
			r.remember(o, o.mark([]byte("data")), i, Result{Version: i, Outcome: reply})
		}
	}
	return r
}

// After many operations of others a client that was used meanwhile is known, and one that
// was not is not counted twice if it says what it had seen.
func TestAfterManyOthers(t *testing.T) {
	r := newRoom(t)
	at := "@" + r.Snapshot().Epoch + "-0"
	r.does(do("idle:1"+at+"=1", "busy:1"+at+"=1", theKey+"=0"), "1@1", "2@2", "2@3")
	var lines []string
	for i := range 100_000 {
		lines = append(lines, fmt.Sprintf("other%d:%d=0", i%10_000, 1))
		if len(lines) < 1000 {
			continue
		}
		lines = append(lines, fmt.Sprintf("busy:%d=0", 2+i/1000))
		for _, res := range r.Commit(t.Context(), parseOps(t, lines...)) {
			if res.Err != nil || res.Repeat {
				t.Fatalf("%+v", res)
			}
		}
		lines = lines[:0]
	}
	r.again()
	r.does(do("idle:1"+at+"=1", "idle:2"+at+"=1", "busy:101=0", "busy:1"+at+"=1", "busy:102=1"), mayHave, notKnown, "=2@100103", "=3@100104", "3@100104")
	r.does(do("idle:1=1"), "4@100105") // it does not say what it had seen
}

// No answer is forgotten that has place.
func TestAnswersThatJustFit(t *testing.T) {
	var a answers
	for n := range uint64(3) {
		a.add(answer{n: n})
	}
	for _, test := range []struct{ place, kept int }{{4 * answerHeader, 3}, {3 * answerHeader, 3}, {3*answerHeader - 1, 2}, {answerHeader, 1}, {answerHeader - 1, 0}} {
		if a.drop(test.place); len(a.log) != test.kept*answerHeader {
			t.Errorf("%d bytes of %d are kept", len(a.log), test.place)
		}
	}
}

// A table may have any size up to its bound, and no answers.
func TestTheBoundsOfAStoredTable(t *testing.T) {
	table := some()
	table.answers.log = nil
	if _, ok := divideIDs(table.appendTo(nil)); !ok {
		t.Error("without answers it is not read")
	}
	for table.size() < maxIDsSize-2*maxAnswer {
		table.answers.add(answer{text: make([]byte, maxAnswer)})
	}
	for more, want := range []bool{true, false} {
		full := *table
		full.answers.log = slices.Clone(table.answers.log)
		rest := maxIDsSize + more - table.size() - 2*answerHeader
		full.answers.add(answer{text: make([]byte, rest/2)})
		full.answers.add(answer{text: make([]byte, rest-rest/2)})
		if p := full.appendTo(nil); len(p) != 96<<10-1+more {
			t.Errorf("%d bytes", len(p))
		} else if _, ok := divideIDs(p); ok != want {
			t.Errorf("%d bytes are read: %v", len(p), ok)
		}
	}
}
