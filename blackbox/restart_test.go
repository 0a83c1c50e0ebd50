package blackbox

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// kills is how often a server is killed.
func kills() int {
	if testing.Short() || race {
		return 10
	}
	return 50
}

const writersConfig = `GLOBAL
		websocket {
			drain off
		}
	END
	:PORT {
		websocket /sum/* {
			app sum
			room {path}
		}
	}`

// one is the value of all operations where the total is to be the version.
func one(int) string { return "1" }

// fifty is fifty writers, half of them with ids, half of either by POST. Those with
// ids have a room of their own.
func fifty() *crew {
	c := new(crew)
	for i := range 50 {
		c.add(writer{name: "w" + strconv.Itoa(i), path: [...]string{"/sum/plain", "/sum/once"}[i%2], ids: i%2 == 1, post: i%4 < 2, value: one})
	}
	return c
}

// A server that is killed while fifty clients write has lost nothing that it had
// acknowledged, and counted nothing that was not sent. Clients with ids send again
// what they have no answer to: then exactly what was sent is counted, and every
// answer is the one that the operation got first.
func TestKilledServer(t *testing.T) {
	s := start(t, writersConfig)
	c, seed := fifty(), rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range kills() {
		c.begin(s.address())
		c.until(t, 1+random.Int64N(1000))
		s.kill(t)
		c.wait(t)
		s.again(t)
		c.inBounds(t, s, fmt.Sprintf("after %d kills", round+1))
	}
	c.finish(t, s)
	c.isExact(t, s)
	t.Logf("%d operations were sent, %d answers were repeats", c.progress.sent.Load(), c.repeats())
	if c.repeats() == 0 {
		t.Error("no operation was sent twice")
	}
}

// A server that is told to end while clients write does no worse, and ends by itself.
func TestStoppedServer(t *testing.T) {
	s, c := start(t, writersConfig), fifty()
	s.tolerates = []string{"the commit goes on: context canceled"} // a slow disk is not waited for
	for round := range kills() / 5 {
		c.begin(s.address())
		c.until(t, 200)
		s.stop()
		c.wait(t)
		s.again(t)
		c.inBounds(t, s, fmt.Sprintf("after %d stops", round+1))
	}
	c.finish(t, s)
	c.isExact(t, s)
	t.Logf("%d operations were sent, %d answers were repeats", c.progress.sent.Load(), c.repeats())
}

// A server that is told to reload while clients write answers all that is sent over
// WebSockets, each of which lives on. (Connections for POSTs end, as after every reload,
// so those without ids cannot all know what was counted.)
func TestReloadedServer(t *testing.T) {
	s, c := start(t, writersConfig), fifty()
	c.returns = true
	c.begin(s.address())
	for round := range kills() / 5 {
		c.until(t, 200)
		s.reload(t, strings.Replace(writersConfig, "drain off", fmt.Sprintf("drain off\nmax_rooms %d", 1000+round), 1))
	}
	c.resting.Store(true)
	c.wait(t)
	c.isExact(t, s)
	for _, w := range c.writers {
		if !w.post && (w.came != 1 || len(w.replies()) != w.sent || w.repeats > 0) {
			t.Errorf("%s has connected %d times, and has %d answers to %d operations, of which %d are repeats", w.name, w.came, len(w.replies()), w.sent, w.repeats)
		}
	}
	t.Logf("%d operations were sent, %d answers were repeats", c.progress.sent.Load(), c.repeats())
}

// sums is what the writers of a room have been acknowledged, what they have sent, and
// what of that was refused for certain.
func (c *crew) sums(path string) (acked, sent, refused int) {
	for _, w := range c.writers {
		if w.path != path {
			continue
		}
		sent += w.sent
		for _, a := range w.answers {
			switch {
			case a.Type == "reply":
				acked++
			case !w.ids && a.Code == "unavailable":
				refused++
			}
		}
	}
	return acked, sent, refused
}

// inBounds expects that each room has counted what was acknowledged, and nothing that
// was refused or not sent.
func (c *crew) inBounds(t *testing.T, s *server, when string) {
	t.Helper()
	for _, path := range c.paths() {
		acked, sent, refused := c.sums(path)
		state := s.state(t, path)
		total, err := strconv.Atoi(state.Total.String())
		if err != nil || total < acked || total > sent-refused || uint64(total) != state.Version {
			t.Errorf("%s, %s: %d are acknowledged, %d sent, %d refused, and the state is %s", when, path, acked, sent, refused, state.raw)
		}
	}
}

func (c *crew) paths() (all []string) {
	seen := make(map[string]bool)
	for _, w := range c.writers {
		if !seen[w.path] {
			all = append(all, w.path)
		}
		seen[w.path] = true
	}
	return all
}

// isExact expects that the rooms of those with ids have counted what was sent, and
// that each answer is of one place in the order: with the version as the total, of
// one epoch, and no two the same.
func (c *crew) isExact(t *testing.T, s *server) {
	t.Helper()
	c.inBounds(t, s, "in the end")
	seen := make(map[string]map[uint64]bool)
	for _, w := range c.writers {
		if seen[w.path] == nil {
			seen[w.path] = make(map[uint64]bool)
		}
		epoch := s.state(t, w.path).Epoch
		for _, a := range w.replies() {
			if a.Epoch != epoch || a.Total.String() != strconv.FormatUint(a.Version, 10) || seen[w.path][a.Version] {
				t.Fatalf("%s: an operation is answered with %s, in the epoch %s", w.name, a.raw, epoch)
			}
			seen[w.path][a.Version] = true
		}
		if acked, sent, _ := c.sums(w.path); w.ids && s.state(t, w.path).Version != uint64(sent) {
			t.Errorf("%s: %d sent, %d acknowledged, and the state is %s", w.path, sent, acked, s.state(t, w.path).raw)
		}
	}
}

// repeats is how many answers were marked as such.
func (c *crew) repeats() (n int) {
	for _, w := range c.writers {
		n += w.repeats
	}
	return n
}
