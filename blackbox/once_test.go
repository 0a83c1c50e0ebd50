package blackbox

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// What a room remembers of operations with ids, and for how long.

const aRandomKey = "0c9e4f3b-5f6d-4f0e-9d5a-2b7f1c8a6e10"

// clients number their operations, over a few connections.
type clients struct {
	name        string
	count       int
	each        int // operations of a client
	connections int
	value       string
}

// send has all clients of a server's room send, and returns what each operation was
// answered with, none of which may be a repeat.
func (c clients) send(t *testing.T, s *server, path string) map[string]told {
	t.Helper()
	var mu sync.Mutex
	all := make(map[string]told)
	var done sync.WaitGroup
	for k := range c.connections {
		done.Go(func() {
			answers, err := c.sendOver(s, path, k)
			if err != nil {
				t.Errorf("connection %d: %v", k, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, a := range answers {
				all[fmt.Sprint(a.ID)] = a
			}
		})
	}
	done.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// sendOver sends what the clients of one connection have to say.
func (c clients) sendOver(s *server, path string, connection int) (answers []told, err error) {
	to, err := joinSender(s.address(), path)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	var ids []string
	for n := range c.each {
		for i := connection; i < c.count; i += c.connections {
			ids = append(ids, c.id(i, n+1))
		}
	}
	go func() {
		w := bufio.NewWriter(to)
		for _, id := range ids {
			w.WriteString(text(operation{id: id, value: c.value}.object()))
		}
		w.Flush()
	}()
	for _, id := range ids {
		a, err := to.answer()
		switch {
		case err != nil:
			return answers, err
		case a.Type != "reply" || a.ID != id || a.Repeat:
			return answers, odd("%s is answered with %s", id, a.raw)
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// id is that of a client's operation.
func (c clients) id(client, n int) string { return fmt.Sprintf("%s-%d:%d", c.name, client, n) }

// An operation that is sent again after a hundred thousand others is not counted
// again: over another connection, another transport, to another process. The newest
// answers are given again as they were. A client that is forgotten is told so if it
// says what it had seen.
func TestLateRetries(t *testing.T) {
	many := clients{name: "many", count: 1000, each: 100, connections: 10, value: "1"}
	if testing.Short() || race {
		many.each = 10
	}
	s := start(t, writersConfig)
	const path = "/sum/late"
	unseen := s.state(t, path)
	early := operation{id: "early:1", at: unseen.point(), value: "1"}
	key := operation{id: aRandomKey, value: "1"}
	if a := s.sender(t, path, false).do(early); a.Type != "reply" || a.Version != 1 {
		t.Fatal(a.raw)
	}
	if a := s.sender(t, path, true).do(key); a.status != http.StatusOK || a.Version != 2 {
		t.Fatal(a.raw)
	}
	answers := many.send(t, s, path)
	now := uint64(many.count*many.each + 2)

	for _, life := range []string{"the same process", "another process"} {
		for _, post := range []bool{false, true} {
			c := s.sender(t, path, post)
			isLateRepeat(t, life, c.do(early), now)
			if post {
				isLateRepeat(t, life, c.do(key), now)
			}
			some := 0
			for id, first := range answers {
				if first.Version+500 < now {
					continue
				}
				some++
				if a := c.do(operation{id: id, value: "1"}); !a.Repeat || a.first() != first.first() {
					t.Fatalf("%s was answered with %s, and by %s with %s", id, first.raw, life, a.raw)
				}
			}
			if some < 500 {
				t.Fatalf("only %d answers are of now", some)
			}
		}
		if state := s.state(t, path); state.Version != now || state.Total.String() != strconv.FormatUint(now, 10) {
			t.Fatalf("the state is %s, want %d", state.raw, now)
		}
		s.kill(t)
		s.again(t)
	}
	others := clients{name: "others", count: 1100, each: 1, connections: 2, value: "1"}
	others.send(t, s, path)
	now += uint64(others.count)
	s.forgotten(t, path, early, many, now)
}

// isLateRepeat expects the answer to an operation whose first answer is not kept any
// more.
func isLateRepeat(t *testing.T, life string, a told, now uint64) {
	t.Helper()
	if a.Type != "reply" || !a.Repeat || a.Version != now {
		t.Errorf("%s answers a late repeat with %s, want version %d", life, a.raw, now)
	}
}

// forgotten expects the clients of before to be forgotten.
func (s *server) forgotten(t *testing.T, path string, early operation, many clients, now uint64) {
	t.Helper()
	for _, post := range []bool{false, true} {
		c := s.sender(t, path, post)
		if a := c.do(early); a.Code != "may_have_counted" || a.Retry || post && a.status != http.StatusConflict {
			t.Errorf("an operation of a forgotten client is answered with %d %s", a.status, a.raw)
		}
		if a := c.do(operation{id: many.id(0, many.each+1), value: "1"}); a.Code != "unknown_client" || a.Retry || post && a.status != http.StatusConflict {
			t.Errorf("the next operation of a forgotten client is answered with %d %s", a.status, a.raw)
		}
	}
	s.expectVersion(t, path, now)
	c := s.sender(t, path, true)
	if a := c.do(operation{id: early.id, value: early.value}); a.Type != "reply" || a.Repeat || a.Version != now+1 {
		t.Errorf("without the point that its client had seen it is answered with %s", a.raw)
	}
	if a := c.do(operation{id: "new:1", at: s.state(t, path).point(), value: "1"}); a.Type != "reply" || a.Repeat || a.Version != now+2 {
		t.Errorf("a new client's is answered with %s", a.raw)
	}
}

func (s *server) expectVersion(t *testing.T, path string, version uint64) {
	t.Helper()
	if state := s.state(t, path); state.Version != version {
		t.Errorf("%s has the state %s, want version %d", path, state.raw, version)
	}
}

const visitorsConfig = `GLOBAL
		servers {
			trusted_proxies static 127.0.0.0/8
		}
	END
	:PORT {
		websocket /sum/* {
			app sum
			room {path}
		}
	}`

// Ten thousand visitors from everywhere, each of which looks, counts, sends that once
// more, and counts again: nobody is refused, though the room has place for a tenth of
// them. Somebody from one address, with more names than there are places, drives nobody out who has
// been there before.
func TestManyVisitors(t *testing.T) {
	visitors := 10000
	if testing.Short() || race {
		visitors = 1200
	}
	s := start(t, visitorsConfig)
	const path, together = "/sum/visitors", 50
	var done sync.WaitGroup
	for k := range together {
		done.Go(func() {
			c, err := newPostSender(s.address(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := k; i < visitors && !t.Failed(); i += together {
				if err := visit(c, i); err != nil {
					t.Errorf("visitor %d: %v", i, err)
				}
			}
		})
	}
	done.Wait()
	s.expectVersion(t, path, uint64(2*visitors))

	quiet := s.sender(t, path, true)
	quiet.do(operation{id: "quiet:1", value: "1", more: from(1)})
	for k := range together {
		c := s.sender(t, path, true)
		done.Go(func() {
			for i := k; i < 1200; i += together {
				a := c.do(operation{id: fmt.Sprintf("greedy-%d:1", i), value: "1", more: from(2)})
				if a.status != http.StatusOK {
					t.Errorf("name %d of one address is answered with %d %s", i, a.status, a.raw)
				}
			}
		})
	}
	done.Wait()
	if a := quiet.do(operation{id: "quiet:2", value: "1", more: from(1)}); a.status != http.StatusOK {
		t.Errorf("a client that was there before is answered with %d %s", a.status, a.raw)
	}
}

// from is the header of a request from the i-th address.
func from(i int) string {
	return fmt.Sprintf("X-Forwarded-For: 198.%d.%d.%d\r\n", 18+i>>16&1, i>>8&255, i&255)
}

// visit is what one visitor does.
func visit(c *postSender, i int) error {
	state, err := c.look()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("visitor-%d:", i)
	var first told
	for _, o := range []operation{
		{id: name + "1", at: state.point(), value: "1", more: from(i)},
		{id: name + "1", at: state.point(), value: "1", more: from(i + 1)}, // addresses change
		{id: name + "2", value: "1", more: from(i)},
	} {
		if err := c.send(o); err != nil {
			return err
		}
		a, err := c.answer()
		if err != nil {
			return err
		}
		again := first.raw != "" && strings.HasSuffix(o.id, ":1")
		if a.status != http.StatusOK || a.Repeat != again || again && a.first() != first.first() {
			return fmt.Errorf("%+v is answered with %d %s", o, a.status, a.raw)
		}
		first = a
	}
	return nil
}

// What is not of the form <client>:<n> only comes back with the answer: two clients
// that both call their message "1" are both counted.
func TestIDsForTheAnswerOnly(t *testing.T) {
	s := start(t, writersConfig)
	version := uint64(0)
	one, other := s.sender(t, "/sum/a", false), s.sender(t, "/sum/a", false)
	for range 2 {
		for _, c := range []*steadySender{one, other, s.sender(t, "/sum/a", true)} {
			for _, id := range []string{`"1"`, `1`, `"a:0"`, `"a:01"`, `"a b:1"`, `{"n":1}`, `[1]`, `true`} {
				version++
				object := `{"value":1,"id":` + id + `}`
				a := c.say(t, object)
				if a.Type != "reply" || a.Version != version || a.Repeat || !strings.HasSuffix(a.raw, `,"id":`+id+`}`) {
					t.Fatalf("%s is answered with %s", object, a.raw)
				}
			}
		}
	}
}

// say sends a message as it stands.
func (c *steadySender) say(t *testing.T, message string) told {
	t.Helper()
	socket, ok := c.sender.(*webSocketSender)
	if !ok {
		return c.do(operation{value: message})
	}
	if _, err := io.WriteString(socket, text(message)); err != nil {
		t.Fatal(err)
	}
	a, err := c.answer()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const usersConfig = `:PORT {
	basic_auth /sum/users {
		ann $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
		bob $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
	}
	websocket /sum/* {
		app sum
		room {path}
	}
	websocket /chat broadcast
}`

// A POST with a key is answered according to what the room knows of that.
func TestKeysOfPosts(t *testing.T) {
	s := start(t, usersConfig)
	key := func(k string) string { return "Idempotency-Key: " + k }
	for _, step := range []struct {
		path, body string
		header     []string
		status     int
		code       string // or the total
	}{
		{"/sum/a", "1", []string{key("c:1")}, 200, "1"},
		{"/sum/a", "1", []string{key("c:1")}, 200, "1 repeat"},
		{"/sum/a", "2", []string{key("c:1")}, 422, "id_reused"},
		{"/sum/a", "1", []string{key("c:3")}, 409, "expected true"},
		{"/sum/a", "1", []string{key("d:2")}, 409, "unknown_client"},
		{"/sum/a", "three", []string{key("c:2")}, 400, "refused"},
		{"/sum/a", "three", []string{key("c:2")}, 400, "refused repeat"},
		{"/sum/a", "3", []string{key("c:2")}, 422, "id_reused"},
		{"/sum/a", "3", []string{key("c:3")}, 200, "4"},
		{"/sum/a", "1", []string{key("c:1")}, 200, "1 repeat"},

		{"/sum/a", "1", []string{key(aRandomKey)}, 200, "5"},
		{"/sum/a", "1", []string{key(aRandomKey)}, 200, "5 repeat"},
		{"/sum/a", "2", []string{key(aRandomKey)}, 422, "id_reused"},
		{"/sum/a", "1", []string{key(`"` + aRandomKey + `"`)}, 200, "6"},
		{"/sum/b", "1", []string{key(aRandomKey)}, 200, "1"}, // each room has its own
		{"/sum/a", "1", []string{key("exactly 16 bytes")}, 200, "7"},
		{"/sum/a", "1", []string{key(strings.Repeat("x", 64))}, 200, "8"},

		{"/sum/a", "1", []string{key("new:1"), "Idempotency-At: elsewhere-0"}, 409, "may_have_counted"},
		{"/sum/a", "1", []string{key("new:1"), "Idempotency-At: nowhere"}, 400, "bad_id"},
		{"/sum/a", "1", []string{key("15 bytes, no mo")}, 400, ""},
		{"/sum/a", "1", []string{key(strings.Repeat("x", 65))}, 400, ""},
		{"/sum/a", "1", []string{key("sixteen and \u00e4, too")}, 400, ""},
		{"/sum/a", "1", []string{key("")}, 400, ""},
		{"/sum/a", "1", []string{key("c:4"), key("c:4")}, 400, ""},
		{"/sum/a", "1", []string{"Idempotency-At: elsewhere-0"}, 400, ""},

		{"/sum/users", "1", []string{key("c:1"), basicAuth("ann", "secret")}, 200, "1"},
		{"/sum/users", "1", []string{key("c:1"), basicAuth("bob", "secret")}, 200, "2"},
		{"/sum/users", "1", []string{key("c:1"), basicAuth("ann", "secret")}, 200, "1 repeat"},
		{"/sum/users", "1", []string{key(aRandomKey), basicAuth("ann", "secret")}, 200, "3"},
		{"/sum/users", "1", []string{key(aRandomKey), basicAuth("bob", "secret")}, 200, "4"},
		{"/sum/users", "1", []string{key(aRandomKey), basicAuth("bob", "secret")}, 200, "4 repeat"},
	} {
		a := s.ask(t, http.MethodPost, step.path, step.body, append(step.header, wantsJSON)...)
		if got := summary(a); a.status != step.status || got != step.code {
			t.Errorf("POST %q to %s with %q: %d %q (%s), want %d %q", step.body, step.path, step.header, a.status, a.body, got, step.status, step.code)
		}
	}
}

// A room that keeps nothing cannot tell repeats, and says so.
func TestRoomsThatKeepNothingRefuseKeys(t *testing.T) {
	s := start(t, usersConfig)
	for _, key := range []string{"c:1", aRandomKey} {
		a := s.ask(t, http.MethodPost, "/chat", "hello", "Idempotency-Key: "+key)
		if a.status != http.StatusBadRequest || !strings.HasPrefix(a.body, "error: this room keeps nothing") {
			t.Errorf("%s is answered with %d %q", key, a.status, a.body)
		}
	}
}

// summary is what an answer says, in short: the total or the code, and what is true.
func summary(a answer) string {
	if a.body == "" {
		return ""
	}
	said, err := parseTold(a.body)
	if err != nil {
		return err.Error()
	}
	words := []string{said.Code + said.Total.String()}
	if said.Retry {
		words = append(words, "true")
	}
	if said.Repeat {
		words = append(words, "repeat")
	}
	return strings.Join(words, " ")
}

// A POST that comes again while it is still waiting waits, too. All are answered
// alike, and one is counted.
func TestRepeatsOfAPostThatWaits(t *testing.T) {
	s := start(t, writersConfig)
	s.isCountedOnce(t, "c:1", aRandomKey)
}

// isCountedOnce sends operations with these keys at the same time, ten times each.
func (s *server) isCountedOnce(t *testing.T, keys ...string) {
	t.Helper()
	const times = 10
	answers := make([][]told, len(keys))
	var done sync.WaitGroup
	for i, key := range keys {
		answers[i] = make([]told, times)
		for j := range times {
			c := s.sender(t, "/sum/a", true)
			done.Go(func() { answers[i][j] = c.do(operation{id: key, value: "1"}) })
		}
	}
	done.Wait()
	for i, all := range answers {
		repeats := 0
		for _, a := range all {
			if a.Repeat {
				repeats++
			}
			if a.status != http.StatusOK || a.first() != all[0].first() {
				t.Errorf("%s is answered with %d %s, and with %s", keys[i], a.status, a.raw, all[0].raw)
			}
		}
		if repeats != times-1 {
			t.Errorf("of %d answers to %s %d are repeats", times, keys[i], repeats)
		}
	}
	s.shows(t, "/sum/a", strconv.Itoa(len(keys)))
}
