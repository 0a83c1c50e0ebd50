package blackbox

import (
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// soak is how much is asked of a server for how long.
type soak struct {
	connections int // one of ten over TLS
	lasts       time.Duration
	ping        string // the option, if it is not the default
	pings       int64  // that everybody must have had; the next comes only after an answer
}

// theSoak is a short one, or what CADDYWS_SOAK asks for.
func theSoak(t *testing.T) soak {
	t.Helper()
	long := os.Getenv("CADDYWS_SOAK")
	if long == "" {
		return soak{connections: 500, lasts: 3 * time.Second, ping: "ping 500ms 20s", pings: 2}
	}
	lasts, err := time.ParseDuration(long)
	if err != nil {
		t.Fatalf("CADDYWS_SOAK: %v", err)
	}
	if race {
		t.Skip("10,000 goroutines are too many for the race detector")
	}
	return soak{connections: 10_000, lasts: lasts, pings: 1 + int64(lasts/(50*time.Second))}
}

// Idle clients that answer pings are kept, however many and however long, and the
// server's memory does not grow with the time.
func TestSoak(t *testing.T) {
	wanted := theSoak(t)
	needDescriptors(t, wanted.connections+100)
	s := start(t, `
	(room) {
		websocket /room {
			app echo
			`+wanted.ping+`
		}
	}
	:PORT {
		import room
	}
	localhost:TLSPORT {
		tls internal
		import room
	}`)
	over := make(chan error, wanted.connections)
	idlers := s.idlers(t, wanted.connections, over)
	s.eventually(t, "a ping for everybody", func() bool { return fewestPings(idlers) >= 1 })
	before := s.memory(t)
	t.Logf("%d connections: %d KiB", len(idlers), before)
	s.watch(t, over, wanted.lasts)

	after := s.memory(t)
	t.Logf("after %v: %d KiB, at least %d pings each", wanted.lasts, after, fewestPings(idlers))
	if limit := before + before/10 + 16<<10; after > limit {
		t.Errorf("memory grew from %d to %d KiB, more than to %d", before, after, limit)
	}
	s.eventually(t, "enough pings for everybody", func() bool { return fewestPings(idlers) >= wanted.pings })
	for _, i := range idlers {
		io.WriteString(i, text("bye"))
	}
	for range idlers {
		if err := <-over; err != nil {
			t.Fatalf("at the end: %v", err)
		}
	}
}

// watch lets time pass, in which no connection may end.
func (s *server) watch(t *testing.T, over <-chan error, lasts time.Duration) {
	t.Helper()
	end, minute := time.After(lasts), time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case err := <-over:
			t.Fatalf("a connection was dropped: %v\n%s", err, s.log)
		case <-minute.C:
			t.Logf("%d KiB, %d descriptors", s.memory(t), s.descriptors(t))
		case <-end:
			return
		}
	}
}

// needDescriptors skips a test that may not have so many files open. The Go
// runtime has raised the soft limit to the hard one already.
func needDescriptors(t *testing.T, n int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < uint64(n) {
		t.Skipf("only %d files may be open, and %d are needed", limit.Cur, n)
	}
}

// idler is a client that has nothing to say.
type idler struct {
	*socket
	pings atomic.Int64 // answered
}

// idlers connects n clients, one of ten over TLS. What becomes of them is told to
// over.
func (s *server) idlers(t *testing.T, n int, over chan<- error) (all []*idler) {
	t.Helper()
	config := s.tls()
	for len(all) < n {
		connect := s.connect
		if len(all)%10 == 0 {
			connect = func(t *testing.T) *socket { return s.connectTLS(t, config) }
		}
		i := &idler{socket: connect(t)}
		i.upgrade("/room")
		i.within = 10 * patience
		all = append(all, i)
		go func() { over <- i.stay() }()
	}
	return all
}

// stay answers pings until an echo comes, which is nil, or the end.
func (i *idler) stay() error {
	for {
		f, err := readFrame(i.r)
		if err != nil || f.op == opText {
			return err
		}
		if f.op == opPing {
			if _, err := io.WriteString(i, pong(f.payload)); err != nil {
				return err
			}
			i.pings.Add(1)
		}
	}
}

// fewestPings is how many everybody has answered.
func fewestPings(idlers []*idler) int64 {
	fewest := idlers[0].pings.Load()
	for _, i := range idlers {
		fewest = min(fewest, i.pings.Load())
	}
	return fewest
}
