package blackbox

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// absences are for how long NATS is away: first its process is killed, then it stands still.
func absences(t *testing.T) (killed, still time.Duration) {
	t.Helper()
	if lasts, _ := siegeTime(t); lasts == 0 {
		return 11 * time.Second, 0 // longer than an operation waits
	}
	return 30 * time.Second, 3 * time.Minute
}

// NATS is away while clients add, look and talk. Operations wait and are then refused; each
// node shows the last state to those that are there and those that come; what is said is heard
// on its node. Nothing grows, and all goes on by itself. With CADDYWS_NODES=2m in the
// environment NATS is away for 30 seconds, and then stands still for 3 minutes.
func TestNATSIsAway(t *testing.T) {
	_, clients := siegeTime(t)
	killed, still := absences(t)
	n := startNATS(t, 1)[0]
	nodes := startNodes(t, "nats://"+n.address(), "nats://"+n.address(), "nats://"+n.address())
	var witnesses []*witness
	for i, s := range nodes {
		witnesses = append(witnesses, newWitness(t, s, i))
	}
	a := &absence{besiegeNodes(t, nodes, clients, killed+still), witnesses}
	a.lasts(killed, n.kill, n.start)
	if still > 0 {
		a.lasts(still, func() { n.signal(t, syscall.SIGSTOP) }, func() { n.signal(t, syscall.SIGCONT) })
	}
	sent := a.finish()
	for _, w := range witnesses {
		w.leftovers(t)
	}
	t.Logf("%d operations of %d clients", sent, clients)
}

func (n *natsServer) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := n.process.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// witness watches one node.
type witness struct {
	*server
	quiet     string           // a room in which nothing is under way, with a member
	asked     int              // how many numbers were sent to it, each with an id of its own
	talker    *client          // of the chat
	newest    uint64           // version of the hot room that was shown
	leftovers func(*testing.T) // waits until the node is as it was
}

func newWitness(t *testing.T, s *server, i int) *witness {
	t.Helper()
	w := &witness{server: s, quiet: "/sum/quiet" + strconv.Itoa(i), talker: s.dial(t, "/chat")}
	s.dial(t, w.quiet)
	s.dial(t, hotRoom)
	w.leftovers = s.leftovers(t)
	return w
}

// absence is nodes whose NATS is away at times.
type absence struct {
	*siegedNodes
	witnesses []*witness
}

// lasts has NATS go away for a while, and come back.
func (a *absence) lasts(lasts time.Duration, goAway, comeBack func()) {
	a.t.Helper()
	a.hot.until(a.t, 200)
	goAway()
	middle, end := time.After(lasts/2), time.Now().Add(lasts)
	var work sync.WaitGroup
	for _, w := range a.witnesses {
		work.Go(func() { w.isRefused(a.t) })
		work.Go(func() { w.looksOn(a.t, end) })
	}
	<-middle
	inMiddle := a.measure()
	work.Wait()
	a.hasNotGrown(inMiddle, a.measure())
	comeBack()
	a.hot.until(a.t, 200)
	for _, w := range a.witnesses {
		w.goesOn(a.t)
	}
}

// ask sends the n-th number to the quiet room.
func (w *witness) ask(n int) (told, error) {
	to, err := newPostSender(w.address(), w.quiet)
	if err != nil {
		return told{}, err
	}
	defer to.Close()
	if err := to.send(operation{id: fmt.Sprintf("witness%d:1", n), value: "1"}); err != nil {
		return told{}, err
	}
	return to.answer()
}

// isRefused sends numbers until one is certainly refused. One that was on its way when NATS
// went away has no known outcome.
func (w *witness) isRefused(t *testing.T) {
	for status := 0; status != http.StatusServiceUnavailable; {
		w.asked++
		a, err := w.ask(w.asked)
		status = a.status
		switch {
		case err != nil:
			t.Error(err)
			return
		case status == http.StatusServiceUnavailable && a.Code == "unavailable" && a.Retry && a.Error != "":
		case status == http.StatusGatewayTimeout && a.Code == "unknown" && a.Retry:
		default:
			t.Errorf("while NATS is away a number is answered with %d %s", status, a.raw)
			return
		}
	}
}

// looksOn sees the hot room as it was, as one that is there and one that comes, and hears what
// it says itself.
func (w *witness) looksOn(t *testing.T, end time.Time) {
	for n := 0; time.Now().Before(end) && !t.Failed(); n++ {
		state, shown, err := w.peek(hotRoom)
		if err != nil || !shown || state.Version < w.newest {
			t.Errorf("after version %d the node shows %t %s, %v", w.newest, shown, state.raw, err)
			return
		}
		w.newest = state.Version
		c, err := joinSender(w.address(), hotRoom)
		if err != nil || c.state.Version < w.newest {
			t.Errorf("after version %d one that comes is told %+v, %v", w.newest, c, err)
			return
		}
		c.Close()
		if err := w.talks(fmt.Sprint(w.quiet, " ", n)); err != nil {
			t.Errorf("what is said is not heard: %v", err)
			return
		}
		time.Sleep(20 * time.Millisecond) // there are other clients
	}
}

// talks says something and hears it. What others say is passed over.
func (w *witness) talks(text string) error {
	w.talker.SetReadDeadline(time.Now().Add(patience))
	if err := w.talker.WriteMessage(1, []byte(text)); err != nil {
		return err
	}
	for {
		_, heard, err := w.talker.Conn.ReadMessage()
		if err != nil || string(heard) == text {
			return err
		}
	}
}

// measure is what all nodes need. Clients go from one to another.
func (a *absence) measure() map[string]int {
	a.t.Helper()
	all := make(map[string]int)
	for _, w := range a.witnesses {
		all["KiB of memory"] += w.memory(a.t)
		all["goroutines"] += w.goroutines(a.t)
		all["descriptors"] += w.descriptors(a.t)
	}
	return all
}

// hasNotGrown expects the nodes to need about as much at the end of an absence as in the middle.
func (a *absence) hasNotGrown(inMiddle, atEnd map[string]int) {
	a.t.Helper()
	a.t.Logf("in the middle %v, at the end %v", inMiddle, atEnd)
	for what, more := range map[string]int{"KiB of memory": 64 << 10, "goroutines": 150, "descriptors": 100} {
		if race && what == "KiB of memory" {
			more *= 4
		}
		if atEnd[what] > inMiddle[what]+more {
			a.t.Errorf("%d %s in the middle, and %d at the end", inMiddle[what], what, atEnd[what])
		}
	}
}

// goesOn sends all numbers of the quiet room once more, until each is counted.
func (w *witness) goesOn(t *testing.T) {
	t.Helper()
	for n := 1; n <= w.asked; n++ {
		w.eventually(t, "a number is counted", func() bool {
			a, err := w.ask(n)
			return err == nil && a.Type == "reply"
		})
	}
	w.shows(t, w.quiet, strconv.Itoa(w.asked))
}
