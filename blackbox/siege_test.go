package blackbox

import (
	"crypto/tls"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// siege is a server under attack, and a client of it that must not notice.
type siege struct {
	*server
	bystander *client
	before    int // what the server needed at its peak, in KiB; 0 where nobody knows
}

// besiege starts a server, which has a route /bystander that echoes.
func besiege(t *testing.T, config string) *siege {
	t.Helper()
	s := start(t, config)
	return &siege{s, s.dial(t, "/bystander"), s.peak(t)}
}

// withstands attacks. Meanwhile the bystander is answered, and the server needs
// at most so many MiB more than before.
func (s *siege) withstands(t *testing.T, limit int, attack func()) {
	t.Helper()
	func() {
		defer s.bystand(t)()
		attack()
	}()
	grown := (s.peak(t) - s.before) >> 10
	t.Logf("the server needed %d MiB more", grown)
	if race {
		limit *= 4 // the race detector keeps a shadow of all memory
	}
	if grown > limit {
		t.Errorf("the server needed %d MiB more, not %d at most", grown, limit)
	}
}

// bystand has the bystander ask again and again, until it is told to stop.
func (s *siege) bystand(t *testing.T) (stop func()) {
	told, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		pause := time.NewTicker(5 * time.Millisecond)
		defer pause.Stop()
		for i := 0; ; i++ {
			if err := s.bystander.echo(strconv.Itoa(i)); err != nil {
				t.Errorf("the bystander noticed: %v", err)
				return
			}
			select {
			case <-told:
				return
			case <-pause.C:
			}
		}
	}()
	return func() {
		close(told)
		<-done
	}
}

// echo sends a message, which must come back.
func (c *client) echo(message string) error {
	if _, err := c.NetConn().Write([]byte(text(message))); err != nil {
		return err
	}
	_, got, err := c.ReadMessage()
	if err == nil && string(got) != message {
		err = fmt.Errorf("%q became %q", message, got)
	}
	return err
}

// waitForDescriptors waits until the server has no more descriptors open than
// these. The bystander's questions are its clock.
func (s *siege) waitForDescriptors(t *testing.T, want int) {
	t.Helper()
	got := s.descriptors(t)
	for end := time.Now().Add(patience); got > want && time.Now().Before(end); got = s.descriptors(t) {
		if err := s.bystander.echo("?"); err != nil {
			t.Fatal(err)
		}
	}
	if got > want {
		t.Errorf("%d descriptors stay open, before it were %d", got, want)
	}
}

// over opens a connection: over TLS if there is a configuration.
func (s *server) over(t *testing.T, config *tls.Config) *socket {
	t.Helper()
	if config != nil {
		return s.connectTLS(t, config)
	}
	return s.connect(t)
}

// upgraded opens n WebSockets on a path.
func (s *server) upgraded(t *testing.T, n int, config *tls.Config, path string, header ...string) (all []*socket) {
	t.Helper()
	for range n {
		c := s.over(t, config)
		c.upgrade(path, header...)
		all = append(all, c)
	}
	return all
}

// flood writes the same again and again, n bytes in all or as many as the server
// takes until it ends the connection, and returns how many these were.
func (c *socket) flood(n int, chunk string) (taken int) {
	for taken < n {
		k, err := io.WriteString(c, chunk)
		taken += k
		if err != nil {
			break
		}
	}
	return taken
}

// atOnce does something with all connections at the same time, and returns what
// came out.
func atOnce[T any](all []*socket, do func(*socket) T) (results []T) {
	out := make(chan T)
	for _, c := range all {
		go func() { out <- do(c) }()
	}
	for range all {
		results = append(results, <-out)
	}
	return results
}

// count tells how often a text has been printed.
func (l *lines) count(text string) int { return strings.Count(l.String(), text) }

// waitAll waits until n lines with a text have been printed.
func (l *lines) waitAll(t *testing.T, n int, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		all, changed := l.snapshot()
		if strings.Count(all, text) >= n {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q was printed %d times, not %d:\n%s", text, strings.Count(all, text), n, all)
		}
	}
}
