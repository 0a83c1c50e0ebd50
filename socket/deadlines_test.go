package socket

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
)

// inVirtualTime runs a test over net.Pipe, where time passes only when nobody
// has anything to do.
func inVirtualTime(t *testing.T, test func(t *testing.T, s *session)) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		s := newSession(t, server, client)
		s.change(func(s *Settings) {
			s.PingInterval, s.PingTimeout, s.WriteTimeout = 25*time.Second, 10*time.Second, 10*time.Second
		})
		test(t, s)
	})
}

// expectCut has the connection end after exactly so much time.
func (s *session) expectCut(want error, after time.Duration) {
	s.t.Helper()
	start := time.Now()
	e := <-s.ended
	if e.Err != want || time.Since(start) != after {
		s.t.Errorf("ended with %v after %v, want %v after %v", e.Err, time.Since(start), want, after)
	}
}

// expectAlive has the connection serve.
func (s *session) expectAlive() {
	s.t.Helper()
	s.say(clientText("alive?"))
	s.expect(frames.Text, "alive?")
}

// expectPing has the client receive a ping after exactly so much time.
func (s *session) expectPing(after time.Duration) {
	s.t.Helper()
	start := time.Now()
	s.expect(frames.Ping, "")
	if got := time.Since(start); got != after {
		s.t.Errorf("pinged after %v, want %v", got, after)
	}
}

func TestTimerPingsASilentClient(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		for range 3 {
			s.expectPing(25 * time.Second)
			s.say(clientFrame(true, frames.Pong, ""))
		}
		s.expectPing(25 * time.Second)
		s.expectCut(errSilent, 10*time.Second)
	})
}

func TestTimerDoesNotPingAClientThatTalks(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		for range 20 {
			time.Sleep(24 * time.Second)
			s.expectAlive() // fails if a ping is there
		}
		s.expectPing(25 * time.Second)
	})
}

func TestTimerTakesAnyByteAsASignOfLife(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		s.expectPing(25 * time.Second)
		time.Sleep(9 * time.Second)
		s.say(clientText("hello")[:1])
		time.Sleep(9 * time.Second)
		s.say(clientText("hello")[1:])
		s.expect(frames.Text, "hello")
	})
}

func TestTimerWithoutPingTimeoutOnlyPings(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.change(func(s *Settings) { s.PingTimeout = 0 })
		s.start()
		for range 5 {
			s.expectPing(25 * time.Second)
		}
		s.expectAlive()
	})
}

func TestTimerOff(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.settings.Store(testSettings())
		s.start()
		s.Send([]byte("hello"), false)
		time.Sleep(24 * time.Hour)
		s.expect(frames.Text, "hello")
		s.expectAlive()
	})
}

// It is us who do not read: neither a ping nor an unfinished message counts
// against the client.
func TestTimerSparesAClientThatIsNotRead(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.message = func(data []byte, binary bool) {
			if string(data) == "x" {
				s.Hold(maxHeldBytes)
			} else {
				s.Send(data, binary)
			}
		}
		s.start()
		s.say(clientText("x")[:3])
		s.say(clientText("x")[3:], clientText("y"), clientText("z")[:5])
		for range 24 { // ten minutes
			s.expect(frames.Ping, "")
		}
		time.Sleep(11 * time.Second) // longer than a pong may take
		s.Release(maxHeldBytes)
		s.expect(frames.Text, "y")
		time.Sleep(time.Second)
		s.say(clientText("z")[5:])
		s.expect(frames.Text, "z")
	})
}

// Taking what is sent is no sign of life: the kernel of a client that is gone may go
// on with that.
func TestTimerCutsASilentClientThatIsSentMuch(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		go io.Copy(io.Discard, s.client)
		for range 40 {
			s.Send([]byte("news"), false)
			time.Sleep(time.Second)
		}
		if e := <-s.ended; e.Err != errSilent || e.Duration != 35*time.Second {
			t.Errorf("ended with %v after %v", e.Err, e.Duration)
		}
	})
}

// A ping that waits behind what the client is slow to take cannot be answered.
func TestTimerSparesAClientThatHasNotBeenReachedByThePing(t *testing.T) {
	const chunks = 20
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		s.Write(published(strings.Repeat("x", chunks*streamWrite-frameHeader)))
		for range chunks {
			time.Sleep(9 * time.Second)
			if _, err := io.ReadFull(s.client, make([]byte, streamWrite)); err != nil {
				t.Fatal(err)
			}
		}
		s.say(clientText("alive"))
		op, payload := s.hear()
		for op == frames.Ping {
			op, payload = s.hear()
		}
		if payload != "alive" {
			t.Errorf("got %v %q", op, payload)
		}
	})
}

// The write timeout counts from when the client last took something.
func TestTimerWriteTimeout(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.change(func(s *Settings) { s.PingInterval = 0 })
		s.start()
		s.Write(published(strings.Repeat("x", 5*streamWrite-frameHeader)))
		for range 4 {
			time.Sleep(9 * time.Second)
			if _, err := io.ReadFull(s.client, make([]byte, streamWrite)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		s.expectCut(errSlow, 10*time.Second)
	})
}

func TestTimerClosesOnAMessageThatTakesTooLong(t *testing.T) {
	for name, begun := range map[string][]byte{
		"header": clientText("x")[:1], "payload": clientText("xyz")[:7], "fragment": clientFrame(false, frames.Text, "x"),
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, s *session) {
				s.change(func(s *Settings) { s.PingInterval = 0 })
				s.start()
				s.expectAlive()
				start := time.Now()
				s.say(begun)
				s.expectClose(frames.PolicyViolation)
				if got := time.Since(start); got != assemblyTimeout {
					t.Errorf("closed after %v, want %v", got, assemblyTimeout)
				}
			})
		})
	}
}

// What comes between the fragments of a message gives it no more time.
func TestTimerCountsFromAMessagesFirstByte(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		start := time.Now()
		s.say(clientFrame(false, frames.Text, "x"))
		for range 5 {
			time.Sleep(11 * time.Second)
			s.say(clientFrame(true, frames.Ping, ""), clientFrame(false, frames.Continuation, "x"))
			s.expect(frames.Pong, "")
		}
		s.expectClose(frames.PolicyViolation)
		if got := time.Since(start); got != assemblyTimeout {
			t.Errorf("closed after %v, want %v", got, assemblyTimeout)
		}
	})
}

// A client that streams, so that each read ends inside another message, finishes
// them all in time.
func TestTimerGivesEachMessageItsOwnTime(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		message := clientText("hello")
		s.say(message[:5])
		for range 20 {
			time.Sleep(20 * time.Second)
			s.say(message[5:], message[:5])
			s.expect(frames.Text, "hello")
		}
	})
}

func TestTimerCutsWhoDoesNotAnswerAClose(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		s.Close(frames.GoingAway, "")
		s.expectClose(frames.GoingAway)
		s.expectCut(errNoEnd, closeTimeout)
	})
}

// A client that takes what was queued before the close frame is given time for it,
// whether or not it has ended its own direction.
func TestTimerWaitsForASlowGoodbye(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		payload := strings.Repeat("x", 20*streamWrite)
		s.Send([]byte(payload), false)
		s.Close(frames.GoingAway, "")
		s.reader = bufio.NewReader(slowReader{s.client})
		s.expect(frames.Text, payload)
		s.expectClose(frames.GoingAway)
		s.say(closeFrame(frames.GoingAway, ""))
		if e := s.expectEnd(); e.Err != nil {
			t.Errorf("ended with %+v", e)
		}
	})
}

// But not for ever.
func TestTimerCutsAnEndlessGoodbye(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		s.Send(make([]byte, 1000*streamWrite), false)
		s.Close(frames.GoingAway, "")
		start := time.Now()
		_, err := io.Copy(io.Discard, slowReader{s.client})
		if e := <-s.ended; e.Err != errNoEnd || err != nil {
			t.Errorf("ended with %+v, %v", e, err)
		}
		if took := time.Since(start); took < lastTimeout || took > closeTimeout+lastTimeout+2*time.Second {
			t.Errorf("cut after %v", took)
		}
	})
}

// A connection ends when the permission does, to the nanosecond, whether or not anything
// else is watched, and whatever the client does meanwhile.
func TestTimerEndsAConnectionThatExpires(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"alone":      func(s *Settings) { *s = *testSettings() },
		"with pings": func(*Settings) {},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, s *session) {
				s.change(change)
				start := time.Now()
				s.expires = start.Add(24*time.Hour + 1)
				s.start()
				for range 24 * 60 * 3 {
					time.Sleep(20 * time.Second)
					s.expectAlive()
				}
				s.expect(frames.Close, "\x0b\xb8permission has ended")
				if got := time.Since(start); got != 24*time.Hour+1 {
					t.Errorf("closed after %v", got)
				}
				s.say(closeFrame(frames.Unauthorized, ""))
				if e := s.expectEnd(); e.Code != frames.Unauthorized || e.Err != nil || e.ByPeer {
					t.Errorf("ended with %+v", e)
				}
			})
		})
	}
}

// One that has expired before it starts is told so.
func TestTimerEndsAConnectionThatHasExpired(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.expires = time.Now().Add(-time.Hour)
		s.start()
		s.expectClose(frames.Unauthorized)
	})
}

// A time that is beyond what a duration can tell is no time at which anything happens.
func TestTimerOfAConnectionThatExpiresInThousandsOfYears(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.expires = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
		s.start()
		s.expectPing(25 * time.Second)
		s.expectAlive()
	})
}

// Answers that are owed hold up the end for half a second, also if the connection was to be
// closed before and waits for them.
func TestTimerDoesNotWaitForAnswersOfAConnectionThatHasExpired(t *testing.T) {
	for name, closes := range map[string]bool{"open": false, "closing": true} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, s *session) {
				_, flushed := s.holding()
				start := time.Now()
				s.expires = start.Add(time.Second)
				s.start()
				s.say(clientText("held"))
				<-flushed
				want := frames.Unauthorized
				if closes {
					want = frames.GoingAway
					s.Close(want, "")
				}
				s.expectClose(want)
				if got := time.Since(start); got != time.Second+expiryTimeout {
					t.Errorf("closed after %v", got)
				}
			})
		})
	}
}

// slowReader takes 4 KiB at most, and its time.
type slowReader struct{ io.Reader }

func (r slowReader) Read(p []byte) (int, error) {
	time.Sleep(500 * time.Millisecond)
	return r.Reader.Read(p[:min(len(p), 4<<10)])
}

func TestTimerCutsAViolatorThatSendsOn(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		s.start()
		start := time.Now()
		s.say(clientFrame(true, 3, ""))
		s.expectClose(frames.ProtocolError)
		for err := error(nil); err == nil; {
			_, err = s.client.Write(bytes.Repeat([]byte("x"), 1000))
			time.Sleep(100 * time.Millisecond)
		}
		if e := <-s.ended; e.Code != frames.ProtocolError || e.Err != errNoEnd || e.Duration != closeTimeout || time.Since(start) > closeTimeout+200*time.Millisecond {
			t.Errorf("ended with %+v", e)
		}
	})
}

// Held messages are answered although the client has ended its direction, since
// it said goodbye and waits for ours.
func TestTimerWaitsForWhatIsHeldAfterTheEndOfTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		said := append(clientText("question"), closeFrame(frames.NormalClosure, "")...)
		s := newSession(t, halfClosed{server, strings.NewReader(string(said))}, client)
		release, _ := s.holding()
		s.start()
		synctest.Wait()
		release()
		s.expect(frames.Text, "question")
		s.expectClose(frames.NormalClosure)
		s.expectEOF()
	})
}

// halfClosed is the connection of a client that has said all.
type halfClosed struct {
	net.Conn
	said *strings.Reader
}

func (c halfClosed) Read(p []byte) (int, error) { return c.said.Read(p) }

// No write may be waited for while the lock is held: ending a TLS connection is
// one.
func TestTimerEndsAConnectionThatTakesNoGoodbye(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, s *session) {
		slow := &slowGoodbye{Conn: s.link.(*netConn).conn, told: make(chan struct{})}
		s.link = &netConn{conn: slow}
		s.start()
		s.say(clientFrame(true, 3, ""))
		s.expectClose(frames.ProtocolError)
		<-slow.told
		s.Send(nil, false) // would wait for the lock
		s.expectCut(errNoEnd, closeTimeout)
	})
}

// slowGoodbye is a TLS connection to a client that takes nothing.
type slowGoodbye struct {
	net.Conn
	told chan struct{}
}

func (c *slowGoodbye) CloseWrite() error {
	close(c.told)
	_, err := c.Conn.Write([]byte("close_notify"))
	return err
}
