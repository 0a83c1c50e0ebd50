package blackbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const presenceConfig = `GLOBAL
		websocket {
			engine memory
			drain off
			max_rooms MAXROOMS
		}
	END
	:PORT {
		@user header Authorization *
		basic_auth @user {
			ann $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
			bob $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
		}
		websocket /chat/* broadcast {
			presence 2s
			ping 500ms 3s
			expires {query.until} optional
		}
		websocket /patient/* broadcast {
			presence
			expires {query.until} optional
		}
		websocket /returns/* broadcast {
			presence 2s
		}
		websocket /silent/* broadcast
	}`

func presenceSite(maxRooms int) string {
	return strings.Replace(presenceConfig, "MAXROOMS", strconv.Itoa(maxRooms), 1)
}

// people is who somebody thinks is there.
type people struct {
	Type, Event string
	Count       int
	Members     []person
	Joined      []person
	Left        []person
}

type person struct {
	User, ID    string
	Connections int
}

func (p person) String() string { return p.User + p.ID }

// crowd is what a member has put together.
type crowd struct {
	client *client
	count  int
	there  map[string]bool
	told   int
}

// follows lets a client in that follows who is there, and waits for its state.
func (s *server) follows(t *testing.T, path string, header ...string) *crowd {
	t.Helper()
	c := &crowd{client: s.dial(t, path, append(header, "Sec-WebSocket-Protocol: json")...)}
	c.hear(t)
	return c
}

// hear takes what the client is told next of people.
func (c *crowd) hear(t *testing.T) people {
	t.Helper()
	p, err := c.listen()
	if err != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	return p
}

// listen is hear for any goroutine. It passes over messages.
func (c *crowd) listen() (p people, err error) {
	for p.Type != "presence" {
		if err := c.client.ReadJSON(&p); err != nil {
			return p, err
		}
	}
	c.told++
	c.count = p.Count
	if p.Event == "state" {
		c.there = make(map[string]bool)
	}
	for _, m := range append(p.Members, p.Joined...) {
		c.there[m.String()] = true
	}
	for _, m := range p.Left {
		delete(c.there, m.String())
	}
	return p, nil
}

// until hears until so many are there.
func (c *crowd) until(t *testing.T, count int) {
	t.Helper()
	for c.count != count {
		c.hear(t)
	}
	if len(c.there) != count {
		t.Fatalf("%d are there: %v", count, c.there)
	}
}

func (s *server) people(t *testing.T, path string) (p people) {
	t.Helper()
	a := s.ask(t, "GET", path+"?presence", "")
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%+v, %v", a, err)
	}
	return p
}

// All connections of a user are one member, whatever the transport.
func TestPresenceOverEveryTransport(t *testing.T) {
	s := start(t, presenceSite(100))
	ann := s.follows(t, "/patient/a", basicAuth("ann", "secret"))
	if ann.count != 1 || !ann.there["ann"] {
		t.Fatalf("%+v", ann)
	}
	again, bob := s.events(t, "/patient/a", basicAuth("ann", "secret")), s.events(t, "/patient/a?subprotocol=json", basicAuth("bob", "secret"))
	first := again.next()
	if first.name != "presence" || first.id != "" || !strings.HasPrefix(first.data, `{"type":"presence","event":"state","count":`) {
		t.Errorf("%+v", first)
	}
	if got := bob.next(); got.name != "" || !strings.HasPrefix(got.data, `{"type":"presence","event":"state","count":2,`) {
		t.Errorf("%+v", got)
	}
	ann.until(t, 2)
	text := s.dial(t, "/patient/a")
	ann.until(t, 3)
	if a := s.ask(t, "POST", "/patient/a", "hello"); a.status != http.StatusNoContent {
		t.Errorf("%+v", a)
	}
	text.expect("hello") // and nothing before
	p := s.people(t, "/patient/a")
	if p.Count != 3 || len(p.Members) != 3 || p.Members[0] != (person{"ann", "", 2}) || p.Members[1] != (person{"bob", "", 1}) || len(p.Members[2].ID) != 12 {
		t.Errorf("%+v", p)
	}
	if p := s.people(t, "/patient/empty"); p.Count != 0 || p.Members == nil {
		t.Errorf("%+v", p)
	}
	if a := s.ask(t, "HEAD", "/patient/a?presence", ""); a.status != http.StatusOK || a.body != "" {
		t.Errorf("%+v", a)
	}
	if a := s.ask(t, "GET", "/silent/a?presence", ""); a.status != http.StatusNotFound {
		t.Errorf("%+v", a)
	}
	if a := s.ask(t, "GET", "/patient/a?presence&until=1", ""); a.status != http.StatusUnauthorized {
		t.Errorf("%+v", a)
	}
	if a := s.ask(t, "GET", "/patient/a?presence", "", "Origin: https://elsewhere.example"); a.status != http.StatusForbidden {
		t.Errorf("%+v", a)
	}
}

// A user has left when its last connection has been gone for the grace, and not if it comes
// back before.
func TestPresenceOfAUserThatComesBack(t *testing.T) {
	s := start(t, presenceSite(100))
	retry(t, func(n int) bool { return s.comesBack(t, fmt.Sprint("/returns/", n)) })
}

// comesBack reports whether the user did so within the grace.
func (s *server) comesBack(t *testing.T, path string) bool {
	t.Helper()
	const grace = 2 * time.Second
	guest := s.follows(t, path)
	enter := func() *client { return s.dial(t, path, basicAuth("ann", "secret")) }
	ann, again := enter(), enter()
	guest.until(t, 2)
	told := guest.told
	for range 10 {
		ann.Close()
		left := time.Now()
		again.Close()
		if ann = enter(); time.Since(left) >= grace {
			return false
		}
		again = enter()
	}
	ann.Close()
	s.dial(t, path, basicAuth("bob", "secret"))
	if p := guest.hear(t); len(p.Joined) != 1 || p.Joined[0].User != "bob" || len(p.Left) != 0 || guest.told != told+1 {
		t.Errorf("%+v", p)
	}
	left := time.Now()
	again.Close()
	if p := guest.hear(t); len(p.Left) != 1 || p.Left[0].User != "ann" || len(p.Joined) != 0 {
		t.Errorf("%+v", p)
	}
	if took := time.Since(left); took < grace {
		t.Errorf("told after %v", took)
	}
	return true
}

// Reloads tell nobody anything: connections live on.
func TestReloadsTellNothingOfPresence(t *testing.T) {
	s := start(t, presenceSite(100))
	ann, guest := s.follows(t, "/patient/a", basicAuth("ann", "secret")), s.follows(t, "/patient/a")
	ann.until(t, 2)
	stream := s.events(t, "/patient/a", basicAuth("ann", "secret"))
	stream.next()
	heard := make(chan string)
	for _, c := range []*client{ann.client, guest.client} {
		c.patience *= 10
		go func() { // which answers pings
			_, p, err := c.ReadMessage()
			heard <- fmt.Sprintf("%s, %v", p, err)
		}()
	}
	for i := range 20 {
		s.reload(t, presenceSite(101+i))
	}
	ann.client.send(`{"data":"the next"}`)
	for range 2 {
		if next := <-heard; !strings.Contains(next, `"data":"the next"`) {
			t.Error(next)
		}
	}
	stream.expect("the next")
	if p := s.people(t, "/patient/a"); p.Count != 2 || p.Members[0].Connections != 2 {
		t.Errorf("%+v", p)
	}
}

// guestsOf is set where this binary is to be a crowd of guests: the server's address and path.
const guestsOf = "BLACKBOX_GUESTS"

// beGuests joins with 20 connections, of two users and of nobody known, reads, and never ends.
func beGuests(spec string) {
	address, path, _ := strings.Cut(spec, " ")
	for i := range 20 {
		header := headers([]string{[]string{"X: x", basicAuth("ann", "secret"), "X: x", basicAuth("bob", "secret")}[i%4]})
		conn, _, err := websocket.DefaultDialer.Dial("ws://"+address+path, header)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go func() {
			for err == nil {
				_, _, err = conn.ReadMessage()
			}
		}()
	}
	fmt.Println("joined")
	select {}
}

// guests starts a process with 20 connections.
func (s *server) guests(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), guestsOf+"="+s.address()+" "+path)
	r := startReader(t, process)
	if line, err := bufio.NewReader(r.says).ReadString('\n'); line != "joined\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return process
}

// presenceKills is how often a process with guests is killed, and another one frozen, and where:
// the long way is with the default times.
func presenceKills() (times int, rooms string) {
	if os.Getenv("CADDYWS_PRESENCE") != "" {
		return 50, "/patient/"
	}
	return 2, "/chat/"
}

// exodus is how long it took until those who are nobody known had left, and until users had.
type exodus struct {
	anonymous, users time.Duration
	err              error
}

// watch follows who leaves until nobody else is there.
func (c *crowd) watch() (e exodus) {
	begun := time.Now()
	c.client.patience = 3 * patience
	for c.count > 1 {
		p, err := c.listen()
		if err != nil || len(p.Joined) > 0 {
			e.err = fmt.Errorf("%d are there, told %+v, %w", c.count, p, err)
			return e
		}
		for _, m := range p.Left {
			if m.User == "" {
				e.anonymous = time.Since(begun)
			} else {
				e.users = time.Since(begun)
			}
		}
	}
	return e
}

// A process with 20 connections that is killed, or frozen so that it answers nothing any more,
// leaves no ghosts. When its members have left is in the test's output; with CADDYWS_PRESENCE in
// the environment that is so with the default times, 50 times each.
func TestNoGhosts(t *testing.T) {
	times, rooms := presenceKills()
	s := start(t, presenceSite(2*times))
	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		all := make(chan exodus, times)
		var watchers []*crowd
		for i := range times {
			path := fmt.Sprint(rooms, int(how), "-", i)
			process := s.guests(t, path)
			watcher := s.follows(t, path) // which answers pings only while it reads
			watcher.until(t, 1+10+2)
			if err := process.Process.Signal(how); err != nil {
				t.Fatal(err)
			}
			go func() {
				all <- watcher.watch()
				for err := error(nil); err == nil; _, _, err = watcher.client.ReadMessage() {
				}
			}()
			watchers = append(watchers, watcher)
		}
		var worst exodus
		for range times {
			e := <-all
			if e.err != nil || e.anonymous >= e.users {
				t.Errorf("after %v: %+v", how, e)
			}
			worst.anonymous, worst.users = max(worst.anonymous, e.anonymous), max(worst.users, e.users)
		}
		t.Logf("%d times %v: the last anonymous member has left after %v, the last user after %v", times, how, worst.anonymous.Round(time.Millisecond), worst.users.Round(time.Millisecond))
		for i, watcher := range watchers {
			if p := s.people(t, fmt.Sprint(rooms, int(how), "-", i)); p.Count != 1 || !maps.Equal(watcher.there, map[string]bool{p.Members[0].ID: true}) {
				t.Errorf("%+v, %v", p, watcher.there)
			}
		}
	}
}
