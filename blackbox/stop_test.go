package blackbox

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/quic-go/quic-go"
)

// stopConfig is a site in the clear and over TLS, with global options.
func stopConfig(options string) string {
	return `GLOBAL
	log {
		exclude http.log.error
	}
	websocket {
		` + options + `
	}
END
(routes) {
	websocket /sum/* sum {
		room {path}
		ping off
	}
	websocket /chat {
		app broadcast
		room {path}
		max_message_size 1MiB
		max_queue 64MiB
	}
}
:PORT {
	import routes
}
localhost:TLSPORT {
	tls internal
	import routes
}`
}

// slack is how much longer than drain Caddy may take to end: a second for those
// who do not answer, half a second for its servers, and as much again for a busy
// machine. (Connections that nobody cuts would take 3 s and more.) With the race
// detector all is so slow that nothing is said of that.
var slack = map[bool]time.Duration{false: 3 * time.Second, true: patience / 2}[race]

// hardEnd is what is logged when connections are cut.
const hardEnd = "did not finish the close handshake in time"

// endsIn checks that the process has ended well, not later than some time after it
// was told to.
func (s *server) endsIn(t *testing.T, told time.Time, within time.Duration) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Error("Caddy does not end")
	}
	took := time.Since(told)
	t.Logf("Caddy ended after %v", took)
	if took > within {
		t.Errorf("Caddy took %v to end, more than %v", took, within)
	}
	s.stop() // looks at the exit status and the log
}

// A thousand connections of all kinds are sent away one after another, with
// their replies. Nobody is let in meanwhile.
func TestStopSendsAThousandAwayOneByOne(t *testing.T) {
	if !withExtendedConnect(t) {
		return
	}
	const drain = 3 * time.Second // the default
	s := start(t, stopConfig(""))
	p := s.gather(t, map[string]int{"http/1.1": 700, "wss": 180, "http/2": 40, "http/3": 40, "events": 40})
	p.add(t, s)
	told := time.Now()
	s.terminate()
	p.stay()
	s.letsNobodyIn(t)
	all := p.partings(t)
	s.endsIn(t, told, drain+slack)
	s.checkCodes(t, all, 1001)
	checkReplies(t, all)
	t.Logf("the first went after %v, the last %v later", all[0].at.Sub(told), spread(all))
	if spread(all) < drain/2 {
		t.Errorf("all were sent away within %v", spread(all))
	}
	checkMixed(t, all)
}

// letsNobodyIn checks that who comes, once Caddy sends away, is told to come again.
func (s *server) letsNobodyIn(t *testing.T) {
	t.Helper()
	until(t, "nobody to be let in", func() bool { return s.ask(t, http.MethodGet, "/sum/0", "").status == http.StatusServiceUnavailable })
	upgrade := s.connect(t)
	upgrade.write(handshake("/sum/0"))
	for name, a := range map[string]answer{
		"upgrade": upgrade.response(),
		"events":  s.ask(t, http.MethodGet, "/sum/0", "", wantsEvents),
		"state":   s.ask(t, http.MethodGet, "/sum/0", ""),
		"message": s.ask(t, http.MethodPost, "/sum/0", "1"),
	} {
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: answered with %d %v", name, a.status, a.header)
		}
	}
}

// checkReplies sees to it that each WebSocket was told the one reply it was owed.
func checkReplies(t *testing.T, all []parting) {
	t.Helper()
	for _, p := range all {
		if p.kind != "events" && p.replies != 1 {
			t.Errorf("%s: %d replies", p.kind, p.replies)
		}
	}
}

// checkMixed sees to it that no kind waits for another: each has somebody who
// goes in the first three quarters and somebody who goes in the last. Except that
// event streams go last.
func checkMixed(t *testing.T, all []parting) {
	t.Helper()
	early, late := make(map[string]bool), make(map[string]bool)
	for i, p := range all {
		if i < len(all)*3/4 {
			early[p.kind] = true
		}
		if i >= len(all)/4 {
			late[p.kind] = true
		}
	}
	for kind := range kinds {
		if early[kind] == (kind == "events") || !late[kind] {
			t.Errorf("connections over %s go all together", kind)
		}
	}
}

// What is queued for a slow reader when Caddy is told to stop arrives before its
// close frame.
func TestStopDeliversWhatIsQueued(t *testing.T) {
	retry(t, func(int) bool { return deliversWhatIsQueued(t) })
}

// deliversWhatIsQueued reports whether the clients have answered before they were cut.
func deliversWhatIsQueued(t *testing.T) bool {
	t.Helper()
	const messages, size = 24, 1 << 19 // more than the sockets hold
	s := start(t, stopConfig("drain 500ms"))
	slow, speaker := s.connect(t), s.dial(t, "/chat")
	slow.upgrade("/chat")
	for i := range messages {
		m := strings.Repeat(string(rune('a'+i)), size)
		speaker.send(m)
		speaker.expect(m) // so it is queued for all
	}
	s.terminate()
	s.log.wait(t, "shutting down apps")
	for i := range messages {
		f, err := readFrame(slow.r)
		if err != nil && s.hasCut() {
			return false
		}
		if err != nil || len(f.payload) != size || f.payload[0] != byte('a'+i) {
			t.Fatalf("message %d is %.100q, %v", i, show(f), err)
		}
	}
	io.WriteString(slow, closing(1001, ""))
	_, _, err := speaker.ReadMessage()
	if s.hasCut() {
		return false
	}
	slow.expectClose(1001)
	if !websocket.IsCloseError(err, 1001) {
		t.Error(err)
	}
	return true
}

// hasCut reports whether Caddy, which ends, has cut somebody.
func (s *server) hasCut() bool {
	s.stop()
	return s.log.has(hardEnd)
}

// Clients that read nothing, with more on its way to them than their transport
// holds, do not keep Caddy from ending.
func TestStopDoesNotWaitForBlackHoles(t *testing.T) {
	if !withExtendedConnect(t) {
		return
	}
	const drain = 500 * time.Millisecond
	for kind, over := range kinds {
		t.Run(strings.ReplaceAll(kind, "/", ""), func(t *testing.T) {
			s := start(t, stopConfig("drain 500ms"))
			invite := over(s, t)
			for range 4 {
				invite("/chat")
			}
			invite("/sum/0") // which could answer the close frame, and does not
			flood(t, s.dial(t, "/chat"))
			told := time.Now()
			s.terminate()
			s.endsIn(t, told, drain+slack)
			if !s.log.has(hardEnd) {
				t.Error("nobody was cut")
			}
		})
	}
}

// Nor do clients of HTTP/3 that leave their QUIC connection open, whether they have
// answered or vanished, also where an earlier configuration has let them in.
func TestStopDoesNotWaitForQUICConnections(t *testing.T) {
	const drain = 500 * time.Millisecond
	for name, reload := range map[string]bool{"at once": false, "after a reload": true} {
		t.Run(name, func(t *testing.T) {
			s := start(t, stopConfig("drain 500ms"))
			invite, client, _ := s.overQUIC(t, &quic.Config{KeepAlivePeriod: time.Second})
			if _, err := client.OpenRequestStream(t.Context()); err != nil { // so that it stays open
				t.Fatal(err)
			}
			polite := invite("/sum/0")
			invite, _, below := s.overQUIC(t, nil)
			invite("/sum/0")
			below.Close()
			if reload {
				s.reload(t, stopConfig("drain 500ms\n max_rooms 100"))
			}
			told := time.Now()
			s.terminate()
			if p := polite.stay("http/3"); p.code != 1001 || p.err != nil {
				t.Errorf("the client that answers: %+v", p)
			}
			s.endsIn(t, told, drain+slack)
		})
	}
}

// flood says more than a transport holds.
func flood(t *testing.T, speaker *client) {
	t.Helper()
	m, messages := strings.Repeat("x", 1<<19), 32
	if race {
		messages = 16 // no transport here holds that either
	}
	for range messages {
		speaker.send(m)
		speaker.expect(m)
	}
}

// Who tells Caddy to stop again, in whatever way, changes nothing.
func TestStopIsToldTwice(t *testing.T) {
	const drain = 3 * time.Second
	s := start(t, stopConfig("drain 3s"))
	p := s.gather(t, map[string]int{"http/1.1": 300, "events": 20})
	p.add(t, s)
	told := time.Now()
	s.terminate()
	p.stay()
	s.log.wait(t, "shutting down apps")
	s.terminate()
	if err := s.process.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	s.letsNobodyIn(t)
	all := p.partings(t)
	s.endsIn(t, told, drain+slack)
	s.checkCodes(t, all, 1001)
	checkReplies(t, all)
	if spread(all) < drain/2 {
		t.Errorf("all were sent away within %v", spread(all))
	}
}

// Without a drain all go at once: as many as would else take the default of 3 s.
func TestStopWithoutDrain(t *testing.T) {
	s := start(t, stopConfig("drain off"))
	p := s.gather(t, map[string]int{"http/1.1": 300})
	p.add(t, s)
	told := time.Now()
	s.terminate()
	p.stay()
	all := p.partings(t)
	s.endsIn(t, told, slack-time.Second) // and no drain of 3 s
	s.checkCodes(t, all, 1001)
	checkReplies(t, all)
}

// Few connections are not made to wait for a drain that is meant for many.
func TestStopWithFewConnections(t *testing.T) {
	s := start(t, stopConfig("drain 1h"))
	p := s.gather(t, map[string]int{"http/1.1": 8, "events": 2})
	told := time.Now()
	s.terminate()
	p.stay()
	s.checkCodes(t, p.partings(t), 1001)
	s.endsIn(t, told, slack)
}

// Connections that were opened under an earlier configuration, whose server has
// been replaced, are sent away like all others.
func TestStopAfterReloads(t *testing.T) {
	if !withExtendedConnect(t) {
		return
	}
	const drain = 500 * time.Millisecond
	s := start(t, stopConfig("drain 1h"))
	p := s.gather(t, map[string]int{"http/1.1": 5, "wss": 5, "http/2": 5, "http/3": 5, "events": 5})
	for i := range 2 {
		s.reload(t, stopConfig("drain 500ms\n max_rooms "+strconv.Itoa(100+i)))
	}
	p.add(t, s)
	told := time.Now()
	s.terminate()
	p.stay()
	all := p.partings(t)
	s.endsIn(t, told, drain+slack)
	s.checkCodes(t, all, 1001)
	checkReplies(t, all)
}

// reload has Caddy read another Caddyfile.
func (s *server) reload(t *testing.T, config string) {
	t.Helper()
	reloads := func() int { return strings.Count(s.log.String(), "successfully reloaded config from file") }
	before := reloads()
	s.configure(t, config)
	if err := s.process.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	until(t, "the reload", func() bool { return reloads() > before })
}
