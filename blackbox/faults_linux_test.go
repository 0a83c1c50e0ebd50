package blackbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// goroutines is how many the server has. faultsConfig lets it be asked.
func (s *server) goroutines(t *testing.T) (n int) {
	t.Helper()
	a := ask(t, plain, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/goroutine?debug=1", s.OtherPort), "")
	if _, err := fmt.Sscanf(a.body, "goroutine profile: total %d", &n); err != nil {
		t.Fatalf("%v: %+v", err, a)
	}
	return n
}

// A connection that ends in the middle of a message, wherever that is and whether
// cleanly or not, is the only one that ends. That message never was, and nothing
// is left of the connection.
func TestCutMessagesHarmNobodyElse(t *testing.T) {
	s := start(t, faultsConfig)
	s.overBad(t, func(t *testing.T, connect connector) {
		for name, by := range map[string]func(*proxy){"cut": (*proxy).cut, "reset": (*proxy).reset} {
			t.Run(name, func(t *testing.T) {
				r := s.victims(t, connect)
				leftovers := s.leftovers(t)
				for _, after := range []int{1, 2, 5, 8, 12} {
					for _, begun := range []string{"", begin("10")} {
						r.loseOne(t, begun, after, by)
					}
				}
				leftovers(t)
			})
		}
	})
}

// victims is a room of sum of which members are lost.
type victims struct {
	s       *server
	connect connector
	path    string
	total   int
	others  []*socket // who stay
}

func (s *server) victims(t *testing.T, connect connector) *victims {
	r := &victims{s: s, connect: connect, path: "/sum/" + t.Name()}
	for range 2 {
		c, _ := connect(t, network{})
		c.join(r.path)
		r.others = append(r.others, c)
	}
	return r
}

// add has a member add 1, which everybody is told.
func (r *victims) add(by *socket, all ...*socket) {
	r.total++
	by.write(text("1"))
	for _, c := range all {
		c.expectText(strconv.Itoa(r.total))
	}
}

// loseOne adds a member, who begins a message, perhaps, and goes on with a number
// of which so many bytes arrive.
func (r *victims) loseOne(t *testing.T, begun string, after int, by func(*proxy)) {
	t.Helper()
	ended := r.s.ends(r.path + `"`)
	c, p := r.connect(t, network{})
	c.upgrade(r.path)
	r.add(c, append(r.others, c)...)
	c.write(begun + ping("it is there"))
	c.expect(frame{op: opPong, fin: true, payload: "it is there"})
	p.after(after, by)
	if begun == "" {
		c.write(text("1000000"))
	} else {
		c.write(last("1000000"))
	}
	if f, err := readFrame(c.r); err == nil {
		t.Fatalf("got %q, want the end", show(f))
	}
	r.s.eventually(t, "the end of one connection", func() bool { return r.s.ends(r.path+`"`) > ended })
	r.add(r.others[0], r.others...)
}

// ends is how many connections have ended with these texts in the log.
func (s *server) ends(texts ...string) (n int) {
	for line := range strings.Lines(s.log.String()) {
		missing := func(text string) bool { return !strings.Contains(line, text) }
		if strings.Contains(line, `"connection ended"`) && !slices.ContainsFunc(texts, missing) {
			n++
		}
	}
	return n
}

// leftovers returns a function that waits until the server has no more descriptors
// and goroutines than now, but for a few that Caddy has for other things.
func (s *server) leftovers(t *testing.T) func(*testing.T) {
	const few = 5
	descriptors, goroutines := s.descriptors(t), s.goroutines(t)
	return func(t *testing.T) {
		t.Helper()
		s.eventually(t, "as few descriptors as before", func() bool { return s.descriptors(t) <= descriptors })
		s.eventually(t, "as few goroutines as before", func() bool { return s.goroutines(t) <= goroutines+few })
	}
}
