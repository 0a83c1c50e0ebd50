package blackbox

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// processorTime is how long the server has computed.
func (s *server) processorTime(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(s.proc("stat"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// delays measures how long a message takes to come back, until it is told to end.
func (s *server) delays(t *testing.T, path string, pause time.Duration) (end func() []time.Duration) {
	c := s.dial(t, path)
	c.patience = 3 * patience
	stop, all := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var took []time.Duration
		defer func() { all <- took }()
		for {
			begun := time.Now()
			if c.WriteMessage(1, []byte("x")) != nil {
				return
			}
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
			took = append(took, time.Since(begun))
			select {
			case <-stop:
				return
			case <-time.After(pause):
			}
		}
	}()
	return func() []time.Duration {
		close(stop)
		took := <-all
		c.Close()
		slices.Sort(took)
		return took
	}
}

func quantiles(all []time.Duration) string {
	if len(all) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%d, median %v, 99 %% %v, most %v", len(all), all[len(all)/2].Round(time.Microsecond), all[len(all)*99/100].Round(time.Microsecond), all[len(all)-1].Round(time.Microsecond))
}

// A throng joins a room that tells who is there, and one that does not: all are told how many
// they are in the end. Then all leave at once. What it costs is in the test's output; with
// CADDYWS_PRESENCE in the environment they are 10,000, in 10 s.
func TestAThrongJoins(t *testing.T) {
	size, rate := 500, 1000
	if os.Getenv("CADDYWS_PRESENCE") != "" {
		size = 10_000
	}
	needDescriptors(t, size+100)
	s := start(t, presenceSite(100))
	for _, path := range []string{"/silent/throng", "/patient/throng"} {
		throng := s.joinThrong(t, path, size, rate)
		throng.leave(t)
	}
}

// joinThrong starts a process whose connections join a room, and waits until all know it.
func (s *server) joinThrong(t *testing.T, path string, size, rate int) *throng {
	t.Helper()
	g := &throng{server: s, path: path, size: size}
	end := s.bystanders(t, path)
	var watcher *crowd
	if path != "/silent/throng" {
		watcher = s.follows(t, path)
		watcher.client.patience = 3 * patience
	}
	before := s.processorTime(t)
	g.process = exec.Command(os.Args[0])
	g.process.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %d", throngOf, s.address(), path, size, rate))
	input, err := g.process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.input, g.reader = input, startReader(t, g.process)
	joined, err := g.reader.says.ReadString('\n')
	if !strings.HasPrefix(joined, "joined") {
		t.Fatalf("%q, %v", joined, err)
	}
	for watcher != nil && watcher.count != size+2 { // itself and an insider are there, too
		watcher.hear(t)
	}
	t.Logf("%s: %d %s; the server has computed %v; %s", path, size, strings.TrimSpace(joined), s.processorTime(t)-before, end())
	if watcher != nil {
		watcher.client.Close()
	}
	return g
}

// throng is many connections of another process.
type throng struct {
	server  *server
	path    string
	size    int
	process *exec.Cmd
	input   io.Closer
	reader  *reader
}

// leave ends the process, with all its connections.
func (g *throng) leave(t *testing.T) {
	t.Helper()
	g.input.Close()
	bytes, err := g.reader.says.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	end, before := g.server.bystanders(t, g.path), g.server.processorTime(t)
	left := g.server.descriptors(t) - g.size
	_ = g.process.Process.Kill()
	_ = g.process.Wait()
	g.server.eventually(t, "no descriptors of those who have left", func() bool { return g.server.descriptors(t) <= left+10 }) // others come and go
	t.Logf("%s: they have read %s bytes, and have left at once; the server has computed %v; %s", g.path, strings.TrimSpace(bytes), g.server.processorTime(t)-before, end())
}

// bystanders sends messages in another room, and in this one, and tells how long they took.
func (s *server) bystanders(t *testing.T, path string) (end func() string) {
	t.Helper()
	other, same := s.delays(t, "/silent/other", 10*time.Millisecond), s.delays(t, path, 500*time.Millisecond)
	return func() string {
		return fmt.Sprintf("messages in another room: %s; in this one: %s", quantiles(other()), quantiles(same()))
	}
}
