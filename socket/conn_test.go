package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/handshake"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/gorilla/websocket"
)

func TestConnEchoesMessagesOfEverySize(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		for _, n := range []int{0, 1, 125, 126, 4096, 32<<10 - 8, 32 << 10, 65535, 65536, 1 << 20} {
			payload := strings.Repeat("x", n)
			go s.client.Write(append(clientFrame(true, frames.Binary, payload), clientText(payload)...))
			s.expect(frames.Binary, payload)
			s.expect(frames.Text, payload)
		}
	})
}

func TestConnTakesFramesByteByByte(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		for _, p := range bytewise(bytes.Join([][]byte{
			clientText("hello"), clientFrame(false, frames.Text, "a"), clientFrame(true, frames.Ping, "p"), clientFrame(true, frames.Continuation, "b"),
		}, nil)) {
			s.say(p)
		}
		s.expect(frames.Text, "hello")
		s.expect(frames.Pong, "p")
		s.expect(frames.Text, "ab")
	})
}

func TestConnBeginsWithWhatCameBehindTheHandshake(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		message := clientText("second")
		s.say(message[4:], clientText("third"))
		s.start(append(clientText("first"), message[:4]...)...)
		s.expect(frames.Text, "first")
		s.expect(frames.Text, "second")
		s.expect(frames.Text, "third")
	})
}

func TestConnAnswersWhatCameTogetherInOneWrite(t *testing.T) {
	server, client := tcpPair(t)
	s := newSession(t, server, client)
	counting := &countedLink{link: s.link}
	s.link = counting
	s.start(bytes.Repeat(clientText("hello"), 100)...)
	for range 100 {
		s.expect(frames.Text, "hello")
	}
	if n := counting.writes.Load(); n != 1 {
		t.Errorf("100 answers left in %d writes", n)
	}
}

// countedLink counts writes.
type countedLink struct {
	link
	writes atomic.Int32
}

func (l *countedLink) tryWrite(p []byte) (int, error) {
	l.writes.Add(1)
	return l.link.tryWrite(p)
}

// Who pipelines without reading is not read either, and loses nothing.
func TestConnStopsReadingWhoDoesNotRead(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.change(func(s *Settings) { s.MaxQueue = 64 << 10 })
		s.start()
		const n = 2000
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range n {
				s.client.Write(clientText(fmt.Sprintf("%04d%s", i, strings.Repeat("x", 4<<10))))
			}
		}()
		s.until("reading is paused", func() bool { return s.flow.paused })
		for i := range n {
			s.expect(frames.Text, fmt.Sprintf("%04d%s", i, strings.Repeat("x", 4<<10)))
		}
		s.receive("all to be sent", sent)
	})
}

// A reader that waits because of what is corked goes on when that leaves at
// once.
func TestConnReadsOnAfterUncork(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.change(func(s *Settings) { s.MaxQueue = 100 })
		s.start()
		s.Cork()
		s.say(bytes.Repeat(clientText(strings.Repeat("x", 30)), 4))
		s.until("reading is paused", func() bool { return s.flow.paused })
		s.Uncork()
		for range 4 {
			s.expect(frames.Text, strings.Repeat("x", 30))
		}
		s.say(clientText("more"))
		s.expect(frames.Text, "more")
	})
}

func TestConnStopsReadingWhileMessagesAreHeld(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		var n atomic.Int32
		s.message = func([]byte, bool) { n.Add(1); s.Hold(1) }
		s.start(bytes.Repeat(clientText("x"), 2*maxHeldMessages)...)
		for want := int32(maxHeldMessages); want <= 2*maxHeldMessages; want++ {
			s.until("reading is paused or all is read", func() bool { return n.Load() == want && (s.flow.paused || want == 2*maxHeldMessages) })
			s.Release(1)
		}
		for range maxHeldMessages - 1 { // or the end waits for them
			s.Release(1)
		}
	})
}

func TestConnStopsReadingWhileTooManyBytesAreHeld(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.message = func(data []byte, _ bool) { s.Hold(maxHeldBytes); s.Send(data, false) }
		s.start(bytes.Repeat(clientText("x"), 3)...)
		for range 3 {
			s.expect(frames.Text, "x")
			s.Release(maxHeldBytes)
		}
	})
}

// Nobody who sends waits for a client that does not read: neither in Send nor in
// Close, and whatever the link is.
func TestConnSendersDoNotWaitForTheClient(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		s.fill()
		s.until("the socket is full", func() bool { return s.out.flushing() })
		var senders sync.WaitGroup
		for range 10 {
			senders.Go(func() {
				s.Send([]byte("x"), false)
				s.Write(published("y"))
				s.Update(published("z"))
			})
		}
		senders.Wait()
		s.Close(frames.GoingAway, "")
	})
}

func TestConnUpdateReplacesTheOneThatWaits(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "large": 100 << 10} {
		t.Run(name, func(t *testing.T) {
			overLinks(t, func(t *testing.T, s *session) { checkConflation(t, s, size) })
		})
	}
}

func checkConflation(t *testing.T, s *session, size int) {
	update := func(version int) string { return fmt.Sprintf("v%04d%s", version, strings.Repeat(".", size)) }
	s.change(func(s *Settings) { s.MaxQueue = 64 << 20 })
	s.start()
	begun := s.fill()
	for v := range 100 {
		s.Update(published(update(v)))
	}
	s.Send([]byte("reply"), false)
	s.Update(published(update(100)))
	s.Send([]byte("last"), false)
	s.expect(frames.Text, begun)
	s.expect(frames.Text, "reply")
	s.expect(frames.Text, update(100))
	s.expect(frames.Text, "last")
	s.Update(published(update(101)))
	s.expect(frames.Text, update(101))
}

// A frame that has begun to leave is never cut by a newer one.
func TestConnUpdateLeavesABegunFrameAlone(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.change(func(s *Settings) { s.MaxQueue = 1 << 10 }) // less than a state: it isn't the client's fault
		s.start()
		first := strings.Repeat("1", 16<<20)
		s.Update(published(first))
		s.until("it has begun to leave", func() bool { return len(s.out.rest) > 0 })
		for v := range 1000 {
			s.Update(published(fmt.Sprint(v)))
		}
		s.expect(frames.Text, first)
		s.expect(frames.Text, "999")
	})
}

// What waits is dropped, but never the rest of a frame.
func TestConnOverflowCloses1013(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		begun := s.fill()
		s.Send([]byte("one too many"), false)
		s.Write(published("another"))
		s.Update(published("and an update"))
		s.expect(frames.Text, begun)
		s.expectClose(frames.TryAgainLater)
		s.expectHalfClose()
		s.client.Close()
		if e := s.expectEnd(); e.Code != frames.TryAgainLater || e.ByPeer || e.Err != nil {
			t.Errorf("ended with %+v", e)
		}
	})
}

func TestConnOverflowDropsWhatWaits(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		s.Hold(1)
		begun := s.fill()
		s.Send([]byte("one too many"), false)
		s.expect(frames.Text, begun)
		s.expectClose(frames.TryAgainLater)
	})
}

// What is collected is one message to the queue: a client that has room for its
// beginning gets it all.
func TestConnQueuesAsAWholeWhatIsCollected(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		s.Cork()
		for range 80 { // more than twice the queue
			s.Send(make([]byte, 32<<10), true)
		}
		s.Uncork()
		for range 80 {
			s.expect(frames.Binary, string(make([]byte, 32<<10)))
		}
	})
}

// A client is behind while more than half of its queue waits. What is excused may
// wait beyond it.
func TestConnTellsWhenItsClientHasCaughtUp(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		if taken, _, behind := s.Lag(); behind {
			t.Errorf("behind with nothing, having taken %d", taken)
		}
		begun := s.fill()
		before, _, behind := s.Lag()
		if !behind || s.caughtUps.Load() > 0 {
			t.Fatalf("behind: %v", behind)
		}
		s.excuse.Store(32 << 20)
		if !s.Write(published("beyond the queue")) {
			t.Error("not behind with more than the queue")
		}
		s.expect(frames.Text, begun)
		s.expect(frames.Text, "beyond the queue")
		s.until("the client to catch up", func() bool { return s.caughtUps.Load() == 1 })
		if after, _, behind := s.Lag(); behind || after <= before {
			t.Errorf("has taken %d after %d, behind: %v", after, before, behind)
		}
	})
}

// A client is waited for once its socket is full.
func TestConnWaitsForItsClient(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		begun := s.fill()
		s.until("the socket to be full", func() bool { return s.driver.blocked() > 0 })
		s.expect(frames.Text, begun)
		if _, blocked, _ := s.Lag(); blocked > 0 {
			t.Errorf("with everything taken, the client is waited for since %v", blocked)
		}
	})
}

// roomy is a link that has room, or not.
type roomy struct {
	link
	has  bool
	held int
}

func (r roomy) hasRoom() bool     { return r.has }
func (r roomy) sendBuffered() int { return r.held }

// A client is not waited for while a write does not begin, or go on, for want of a processor.
func TestDriverTellsWhoIsWaitedFor(t *testing.T) {
	d := &goroutineDriver{link: roomy{has: false}}
	if wait := d.blocked(); wait > 0 {
		t.Errorf("before the write the client is waited for since %v", wait)
	}
	d.writeBegan.Store(int64(now().add(-time.Minute)))
	if wait := d.blocked(); wait < time.Minute || wait > time.Hour {
		t.Errorf("during the write the client is waited for since %v, not a minute", wait)
	}
	d.link = roomy{has: true}
	if wait := d.blocked(); wait > 0 {
		t.Errorf("although there is room, the client is waited for since %v", wait)
	}
}

// What a client has taken is negative only where the socket does not tell what it holds.
func TestLagTellsWhatIsTaken(t *testing.T) {
	for held, want := range map[int]int64{100: 900, 1000: 0, 1022: 0, -1: 1000 - mostSendBuffered} {
		var settings atomic.Pointer[Settings]
		settings.Store(testSettings())
		c := New(&settings, message.Text, new(session))
		c.driver, c.end.BytesOut = &goroutineDriver{link: roomy{held: held}}, 1000
		if taken, _, _ := c.Lag(); taken != want {
			t.Errorf("1000 bytes are written, the socket holds %d: taken %d, want %d", held, taken, want)
		}
	}
}

// A client that leaves is waited for no longer.
func TestConnIsNotBehindOnceItLeaves(t *testing.T) {
	for name, leave := range map[string]func(*session){
		"closed by the server": func(s *session) { s.Conn.Close(frames.GoingAway, "") },
		"aborted":              func(s *session) { s.Abort() },
		"gone":                 func(s *session) { s.client.Close() },
		"overflow":             func(s *session) { s.Send([]byte("one too many"), false) },
	} {
		t.Run(name, func(t *testing.T) {
			overLinks(t, func(t *testing.T, s *session) {
				s.start()
				s.fill()
				if _, _, behind := s.Lag(); !behind {
					t.Fatal("not behind with a full queue")
				}
				leave(s)
				s.until("the handler to be told", func() bool { return s.caughtUps.Load() == 1 })
				if _, _, behind := s.Lag(); behind {
					t.Error("behind, though it leaves")
				}
			})
		})
	}
}

// What has come behind the handshake counts like everything else.
func TestBytesBehindTheHandshakeCount(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		sent := append(clientText("hello"), closeFrame(frames.NormalClosure, "")...)
		s.start(sent[:8]...)
		s.say(sent[8:])
		s.expect(frames.Text, "hello")
		s.expect(frames.Close, "\x03\xe8")
		if e := s.expectEnd(); e.BytesIn != uint64(len(sent)) {
			t.Errorf("counted %d bytes, want %d", e.BytesIn, len(sent))
		}
	})
}

func TestConnAnswersClose(t *testing.T) {
	for _, test := range []struct {
		sent   []byte
		want   string
		code   frames.CloseCode
		reason string
	}{
		{closeFrame(frames.NormalClosure, "bye"), "\x03\xe8bye", frames.NormalClosure, "bye"},
		{closeFrame(4321, ""), "\x10\xe1", 4321, ""},
		{closeFrame(frames.NoStatus, ""), "", frames.NoStatus, ""},
	} {
		t.Run(fmt.Sprint(test.code), func(t *testing.T) {
			overLinks(t, func(t *testing.T, s *session) {
				s.start()
				s.say(clientText("hello"), test.sent)
				s.expect(frames.Text, "hello")
				s.expect(frames.Close, test.want)
				s.expectEOF()
				e := s.expectEnd()
				if e.Code != test.code || e.Reason != test.reason || !e.ByPeer || e.Err != nil || e.MessagesIn != 1 || e.MessagesOut != 1 {
					t.Errorf("ended with %+v", e)
				}
				if in, out := uint64(11+len(test.sent)), uint64(7+2+len(test.want)); e.BytesIn != in || e.BytesOut != out {
					t.Errorf("counted %d bytes in and %d out, want %d and %d", e.BytesIn, e.BytesOut, in, out)
				}
			})
		})
	}
}

// holding makes a session hold its messages, and release them, answered, when it
// is told to; the channel tells when a read was worked through.
func (s *session) holding() (release func(), flushed chan struct{}) {
	var held []string
	flushed = make(chan struct{}, 1)
	s.message = func(data []byte, _ bool) { s.Hold(len(data)); held = append(held, string(data)) }
	s.flush = func() {
		select {
		case flushed <- struct{}{}:
		default:
		}
	}
	return func() {
		for _, data := range held {
			s.Send([]byte(data), false)
			s.Release(len(data))
		}
	}, flushed
}

func TestConnAnswersCloseAfterWhatIsHeld(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		release, flushed := s.holding()
		s.start(append(bytes.Repeat(clientText("x"), 3), closeFrame(frames.NormalClosure, "")...)...)
		s.receive("the read to end", flushed)
		release()
		for range 3 {
			s.expect(frames.Text, "x")
		}
		s.expectClose(frames.NormalClosure)
		s.expectEOF()
		s.expectEnd()
	})
}

// A client that ends its own direction is sent all that it asked for, however much
// that is, and then told that it was all.
func TestConnAnswersAClientThatHasEndedItsDirection(t *testing.T) {
	for name, size := range map[string]int{"nothing": 0, "little": 5, "much": 12 << 20} {
		t.Run(name, func(t *testing.T) {
			overLinks(t, func(t *testing.T, s *session) {
				s.change(func(s *Settings) { s.MaxMessageSize = 16 << 20 })
				s.message = func(data []byte, _ bool) {
					s.Hold(1)
					go func(data string) { s.Send([]byte(data), false); s.Release(1) }(string(data))
				}
				s.start()
				payload := strings.Repeat("x", size)
				if size > 0 {
					s.say(clientText(payload))
				}
				if err := s.client.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if size > 0 {
					s.expect(frames.Text, payload)
				}
				s.expectClose(frames.NormalClosure)
				s.expectEOF()
				if e := s.expectEnd(); e.Code != frames.Abnormal || e.ByPeer || e.Err != nil {
					t.Errorf("ended with %+v", e)
				}
			})
		})
	}
}

// The server ends the connection when it has the client's answer, without the
// client having to.
func TestConnClose(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		s.Send([]byte("last words"), false)
		s.Close(frames.GoingAway, "restart")
		s.Close(frames.NormalClosure, "a second code counts for nothing")
		s.Send([]byte("too late"), false)
		s.expect(frames.Text, "last words")
		s.expect(frames.Close, "\x03\xe9restart")
		s.say(clientText("crossed it"), clientFrame(true, frames.Ping, "too"), closeFrame(frames.GoingAway, ""))
		s.expectEOF()
		if e := s.expectEnd(); e.Code != frames.GoingAway || e.Reason != "restart" || e.ByPeer || e.Err != nil || e.MessagesIn != 0 {
			t.Errorf("ended with %+v", e)
		}
	})
}

func TestConnCloseReplacesACodeThatMustNotBeSent(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		s.Close(frames.Abnormal, "")
		s.expectClose(frames.InternalError)
	})
}

// A client that goes on asking cannot put off the close.
func TestConnCloseHearsNoFurtherMessages(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		release, flushed := s.holding()
		s.start()
		s.say(clientText("held"))
		s.receive("the read to end", flushed)
		s.Close(frames.GoingAway, "")
		s.say(clientText("later"), clientFrame(true, frames.Ping, "heard"))
		s.expect(frames.Pong, "heard")
		release()
		s.expect(frames.Text, "held")
		s.expectClose(frames.GoingAway)
	})
}

// Close wakes a reader that waits.
func TestConnCloseWhileReadingIsPaused(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.message = func([]byte, bool) { s.Hold(1) }
		s.start(bytes.Repeat(clientText("x"), maxHeldMessages+1)...)
		s.until("reading is paused", func() bool { return s.flow.paused })
		s.Close(frames.GoingAway, "")
		s.say(closeFrame(frames.GoingAway, ""))
		s.until("the client's answer was read", func() bool { return s.closing.peerDone })
		for range maxHeldMessages {
			s.Release(1)
		}
		s.expectClose(frames.GoingAway)
		s.expectEOF()
		s.expectEnd()
	})
}

// A violation is answered after all that was said before it, even if the client
// never stops sending and doesn't listen meanwhile.
func TestConnAnswersAViolation(t *testing.T) {
	for _, test := range []struct {
		name string
		bad  []byte
		code frames.CloseCode
	}{
		{"protocol", clientFrame(true, 3, ""), frames.ProtocolError},
		{"text", clientText("\xff"), frames.InvalidPayload},
		{"size", clientText(strings.Repeat("x", 1<<20+1))[:14], frames.MessageTooBig},
		{"fragments", append(clientFrame(false, frames.Text, ""), bytes.Repeat(clientFrame(false, frames.Continuation, ""), maxFragments(1<<20))...), frames.PolicyViolation},
		{"close of one byte", clientFrame(true, frames.Close, "x"), frames.ProtocolError},
		{"close code", clientFrame(true, frames.Close, "\x03\xed"), frames.ProtocolError},
		{"close reason", clientFrame(true, frames.Close, "\x03\xe8\xff"), frames.InvalidPayload},
	} {
		t.Run(test.name, func(t *testing.T) {
			overLinks(t, func(t *testing.T, s *session) { checkViolation(t, s, test.bad, test.code) })
		})
	}
}

func checkViolation(t *testing.T, s *session, bad []byte, code frames.CloseCode) {
	release, flushed := s.holding()
	s.start(clientText("before")...)
	s.receive("the read to end", flushed)
	s.say(bad)
	for range 100 {
		s.say(clientText(strings.Repeat("after", 10_000)))
	}
	s.until("the violation is found", func() bool { return s.closing.wanted })
	release()
	s.expect(frames.Text, "before")
	s.expectClose(code)
	s.say(clientText(strings.Repeat("after", 10_000)))
	s.expectHalfClose()
	s.client.Close()
	if e := s.expectEnd(); e.Code != code || e.ByPeer || e.MessagesIn != 1 || e.Err != nil && !errors.Is(e.Err, syscall.ECONNRESET) {
		t.Errorf("ended with %+v", e)
	}
}

func TestConnTellsThatTheClientWentAway(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.start()
		s.client.Close()
		if e := s.expectEnd(); e.Code != frames.Abnormal || e.ByPeer || e.Err != nil {
			t.Errorf("ended with %+v", e)
		}
		s.Send([]byte("x"), false)
		s.Write(published("x"))
		s.Update(published("x"))
		s.Hold(1)
		s.Release(1)
		s.Close(frames.NormalClosure, "")
		if !s.out.empty() {
			t.Error("something waits for a client that is gone")
		}
	})
}

func TestConnTellsOfAFailedConnection(t *testing.T) {
	server, client := tcpPair(t)
	s := newSession(t, server, client)
	s.start()
	client.(*net.TCPConn).SetLinger(0) // close with RST
	client.Close()
	if e := s.expectEnd(); e.Code != frames.Abnormal || !errors.Is(e.Err, syscall.ECONNRESET) {
		t.Errorf("ended with %+v", e)
	}
}

func TestConnSurvivesAPanicOfItsHandler(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.message = func([]byte, bool) { s.Send([]byte("x"), false); panic("oh no") }
		s.start(clientText("x")...)
		checkPanic(t, s)
	})
}

func TestConnSurvivesAPanicOfFlush(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.message = func([]byte, bool) { s.Hold(maxHeldBytes) }
		s.flush = func() { panic("oh no") } // while the reader is about to pause
		s.start(bytes.Repeat(clientText("x"), 2)...)
		checkPanic(t, s)
	})
}

func checkPanic(t *testing.T, s *session) {
	e := s.expectEnd()
	if e.Code != frames.Abnormal || e.Err == nil || !strings.Contains(e.Err.Error(), "oh no") || !strings.Contains(e.Err.Error(), "conn_test.go") {
		t.Errorf("ended with %+v", e)
	}
	for _, _, err := s.next(); err == nil; {
		_, _, err = s.next() // the connection ends
	}
}

// gorilla's client, over net/http and Upgrade: two implementations agree.
func TestConnSpeaksWithGorillasClient(t *testing.T) {
	for name, serve := range map[string]func(http.Handler) *httptest.Server{"plain": httptest.NewServer, "tls": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			s := &session{t: t, ended: make(chan End, 10), flush: func() {}}
			server := serve(http.HandlerFunc(s.serveHTTP))
			defer server.Close()
			dialer := &websocket.Dialer{}
			if tr, ok := server.Client().Transport.(*http.Transport); ok {
				dialer.TLSClientConfig = tr.TLSClientConfig
			}
			client, _, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			checkGorilla(t, client)
			if e := s.expectEnd(); e.Code != frames.NormalClosure || !e.ByPeer || e.Err != nil {
				t.Errorf("ended with %+v", e)
			}
		})
	}
}

func (s *session) serveHTTP(w http.ResponseWriter, r *http.Request) {
	u, err := handshake.Upgrade(w, r, handshake.Offer{})
	if err != nil {
		s.t.Error(err)
		return
	}
	var settings atomic.Pointer[Settings]
	settings.Store(testSettings())
	s.Conn = New(&settings, message.Text, s)
	s.message = s.Send
	s.Serve(Transport{Conn: u.Conn, Buffered: u.Buffered, Deflate: u.Deflate})
}

func checkGorilla(t *testing.T, client *websocket.Conn) {
	for i := range 100 {
		kind, want := websocket.TextMessage+i%2, strings.Repeat("é", i*i*10)
		written := make(chan error)
		go func() { written <- client.WriteMessage(kind, []byte(want)) }()
		if got, p, err := client.ReadMessage(); err != nil || got != kind || string(p) != want {
			t.Fatalf("message %d: %d, %d bytes, %v", i, got, len(p), err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	w, _ := client.NextWriter(websocket.TextMessage)
	for range 3 {
		io.WriteString(w, strings.Repeat("fragment", 1000)) // larger than gorilla's buffer
	}
	w.Close()
	if _, p, err := client.ReadMessage(); err != nil || len(p) != 24_000 {
		t.Fatalf("fragments: %d bytes, %v", len(p), err)
	}
	client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"))
	if _, _, err := client.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Fatalf("close: %v", err)
	}
}

func TestConnClosesWhoSendsFasterThanTheRate(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		slow := testSettings()
		slow.MessageRate, slow.MessageBurst = 0.001, 2
		s.settings.Store(slow)
		s.start()
		s.say(clientText("1"), clientText("2"), clientFrame(true, frames.Ping, "p"), clientText("3"))
		s.expect(frames.Text, "1")
		s.expect(frames.Text, "2")
		s.expect(frames.Pong, "p")
		s.expectClose(frames.PolicyViolation)
	})
}
