package apps_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/leaktest"
)

// No session outlives its room.
func TestMain(m *testing.M) { leaktest.Main(m) }

// lowerCase is the loop of dwebsocket's example.
func lowerCase(_ context.Context, s *apps.Session) error {
	for m := range s.Messages() {
		s.Send(apps.Text(strings.ToLower(string(m.Data))))
	}
	return nil
}

func TestLoopAnswers(t *testing.T) {
	room := appstest.NewRoom(t, apps.Loop(lowerCase))
	ann, bob := room.Join(), room.Join()
	for i := range 200 {
		ann.Send("A" + strconv.Itoa(i))
	}
	bob.Send("ÄÖÜ")
	bob.Expect("äöü")
	for i := range 200 {
		ann.Expect("a" + strconv.Itoa(i))
	}
	ann.Leave()
	bob.Send("B")
	bob.Expect("b")
}

// A client that says goodbye behind its messages gets all answers first.
func TestLoopAnswersBeforeClose(t *testing.T) {
	c := appstest.NewRoom(t, apps.Loop(lowerCase)).Join()
	for range 200 {
		c.Send("X")
	}
	c.Leave()
	for range 200 {
		c.Expect("x")
	}
	c.ExpectClosed(1000)
}

func TestLoopBeginsWithTheConnection(t *testing.T) {
	c := appstest.NewRoom(t, apps.Loop(func(ctx context.Context, s *apps.Session) error {
		s.Send(apps.Text("welcome"))
		<-ctx.Done()
		return ctx.Err()
	})).Join()
	c.Expect("welcome")
}

var errBroken = errors.New("broken")

func TestLoopReturns(t *testing.T) {
	tests := map[string]struct {
		end    func(s *apps.Session) error
		code   int
		logged string // "" if nothing must be
	}{
		"nil":        {func(*apps.Session) error { return nil }, 1000, ""},
		"error":      {func(*apps.Session) error { return errBroken }, 1011, "broken"},
		"panic":      {func(*apps.Session) error { panic("ouch") }, 1011, "loop_test.go"},
		"Goexit":     {func(*apps.Session) error { goexit(); return nil }, 1011, "Goexit"},
		"CloseError": {func(*apps.Session) error { return &apps.CloseError{Code: 4001, Reason: "no"} }, 4001, ""},
		"Close": {func(s *apps.Session) error {
			s.Close(4002, "enough")
			_, err := s.Receive()
			return err
		}, 4002, ""},
		"io.EOF of its own": {func(*apps.Session) error { return io.EOF }, 1011, "EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			room := appstest.NewRoom(t, apps.Loop(func(_ context.Context, s *apps.Session) error {
				if _, err := s.Receive(); err != nil {
					return err
				}
				return test.end(s)
			}))
			c := room.Join()
			for range 70 { // those that wait do not hold up the close
				c.Send("end")
			}
			c.ExpectClosed(test.code)
			room.Post("end").ExpectClosed(test.code)
			if test.logged != "" {
				room.ExpectLogged(test.logged)
			}
		})
	}
}

func goexit() { new(testing.B).SkipNow() }

func TestLoopRefuses(t *testing.T) {
	room := appstest.NewRoom(t, apps.Loop(func(_ context.Context, s *apps.Session) error {
		if _, err := s.Receive(); err != nil {
			return err
		}
		return apps.Refuse(errBroken)
	}))
	c := room.Join()
	c.Send("x")
	c.Expect("error: broken")
	c.ExpectClosed(1000)
	room.Post("x").ExpectRefused("broken")
}

// The end of a connection ends what its session waits for, also in the middle of
// a message and with others waiting.
func TestContextEndsWithConnection(t *testing.T) {
	for _, waiting := range []int{0, 1, 2, 64} {
		t.Run(strconv.Itoa(waiting), func(t *testing.T) {
			ended := make(chan error, 1)
			room := appstest.NewRoom(t, apps.Loop(func(ctx context.Context, s *apps.Session) error {
				if waiting > 0 {
					_, _ = s.Receive()
				}
				s.Send(apps.Text("waiting"))
				<-ctx.Done()
				ended <- ctx.Err()
				return ctx.Err()
			}))
			c := room.Join()
			for range waiting {
				c.Send("x")
			}
			c.Expect("waiting")
			c.Cut()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		})
	}
}

// What came before the end is still received, then io.EOF, again and again.
func TestReceiveAfterTheEnd(t *testing.T) {
	type result struct {
		got []string
		err error
	}
	results := make(chan result, 1)
	synctest.Test(t, func(t *testing.T) {
		c := appstest.NewRoom(t, apps.Loop(func(ctx context.Context, s *apps.Session) error {
			<-ctx.Done()
			var r result
			for m := range s.Messages() {
				r.got = append(r.got, string(m.Data))
			}
			_, r.err = s.Receive()
			if m, ok := s.TryReceive(); ok {
				r.got = append(r.got, string(m.Data))
			}
			s.Send(apps.Text("to nobody"))
			results <- r
			return r.err
		})).Join()
		c.Send("a")
		c.Send("b")
		synctest.Wait()
		c.Cut()
	})
	if r := <-results; !slices.Equal(r.got, []string{"a", "b"}) || r.err != io.EOF {
		t.Fatalf("got %q, %v", r.got, r.err)
	}
}

func TestTryReceiveAndPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sessions := make(chan *apps.Session, 1)
		c := appstest.NewRoom(t, apps.Loop(func(ctx context.Context, s *apps.Session) error {
			sessions <- s
			<-ctx.Done()
			return nil
		})).Join()
		s := <-sessions
		expect := func(text string, ok bool, pending int) {
			t.Helper()
			m, gotOK := s.TryReceive()
			if string(m.Data) != text || gotOK != ok || s.Pending() != pending {
				t.Fatalf("got %q, %v, %d pending; expected %q, %v, %d", m.Data, gotOK, s.Pending(), text, ok, pending)
			}
		}
		expect("", false, 0)
		c.Send("a")
		c.SendBinary([]byte("b"))
		c.Send("c")
		synctest.Wait()
		if s.Pending() != 3 {
			t.Fatalf("%d pending, expected 3", s.Pending())
		}
		expect("a", true, 2)
		expect("b", true, 1)
		expect("c", true, 0)
		expect("", false, 0)
		c.Send("d")
		synctest.Wait()
		expect("d", true, 0)
	})
}

// While 64 messages wait, the one in work included, the client is not read; each
// one that is done lets another in. None is lost.
func TestReadingStopsAt64WaitingMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sent = 1000
		next, pending := make(chan bool), make(chan int)
		c := appstest.NewRoom(t, apps.Loop(func(_ context.Context, s *apps.Session) error {
			for m := range s.Messages() {
				<-next
				pending <- s.Pending()
				s.Send(m)
			}
			return nil
		})).Join()
		for i := range sent {
			c.Send(strconv.Itoa(i))
		}
		for i := range sent {
			synctest.Wait()
			next <- true
			if got, want := <-pending, min(63, sent-1-i); got != want {
				t.Fatalf("%d messages wait beside message %d, expected %d", got, i, want)
			}
			c.Expect(strconv.Itoa(i))
		}
	})
}

// Messages belong to the session: they are not overwritten by later ones.
func TestMessagesAreCopies(t *testing.T) {
	c := appstest.NewRoom(t, apps.Loop(func(_ context.Context, s *apps.Session) error {
		var all []string
		for m := range s.Messages() {
			all = append(all, string(m.Data))
			if len(all) == 3 {
				s.Send(apps.Text(strings.Join(all, " ")))
				break
			}
		}
		s.Send(apps.Text("broken off"))
		return nil
	})).Join()
	for _, text := range []string{"aaa", "bbb", "ccc"} {
		c.Send(text)
	}
	c.Expect("aaa bbb ccc", "broken off")
	c.ExpectClosed(1000)
}

func TestLoopByPOST(t *testing.T) {
	room := appstest.NewRoom(t, apps.Loop(lowerCase))
	room.Post("ÄÖÜ").Expect("äöü")
	room.PostBinary([]byte("X")).Expect("x")
}

// A POST waits for the session to answer, however long it works, and for its
// coming back to know that it does not.
func TestPOSTWaitsForTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := make(chan string)
		room := appstest.NewRoom(t, apps.Loop(func(_ context.Context, s *apps.Session) error {
			for range s.Messages() {
				if answer := <-work; answer != "" {
					s.Send(apps.Text(answer))
				}
			}
			return nil
		}))
		post := func(answer string) *appstest.Answer {
			go func() {
				synctest.Wait() // the request waits, and nothing else goes on
				work <- answer
			}()
			return room.Post("x")
		}
		post("done").Expect("done")
		post("").ExpectNothing()
	})
}

// 1,000 clients come, talk and go, half of them without a word.
func TestSessionsLeaveNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var running sync.WaitGroup
	t.Run("room", func(t *testing.T) {
		room := appstest.NewRoom(t, apps.Loop(func(ctx context.Context, s *apps.Session) error {
			running.Add(1)
			defer running.Done()
			for m := range s.Messages() {
				s.Conn.Room().Publish(m, s.Conn)
				s.Send(apps.Text("own " + string(m.Data)))
			}
			return ctx.Err()
		}))
		clients := make([]*appstest.Client, 1000)
		for i := range clients {
			clients[i] = room.Join()
		}
		clients[0].Send("x")
		clients[0].Expect("own x")
		for i, c := range clients[1:] {
			c.Expect("x")
			if i%2 == 0 {
				c.Leave()
			} else {
				c.Cut()
			}
		}
		clients[0].ExpectNothing()
	})
	running.Wait()
	if err := leaktest.Find(before); err != nil {
		t.Error(err)
	}
}

// embedded is an app as its author writes it, with a Join of its own.
type embedded struct {
	apps.Loop `json:"-"`
}

func (e *embedded) Join(c apps.Conn, h apps.Handshake) error {
	name := h.Query.Get("name")
	if name == "" {
		return errors.New("nameless")
	}
	return apps.Loop(func(ctx context.Context, s *apps.Session) error {
		for m := range s.Messages() {
			s.Send(apps.Text(fmt.Sprintf("%s said %s", name, m.Data)))
		}
		return nil
	}).Join(c, h)
}

func TestLoopWithItsOwnJoin(t *testing.T) {
	room := appstest.NewRoom(t, new(embedded))
	room.ExpectForbidden()
	c := room.Join(appstest.Query("name", "Ann"))
	c.Send("hi")
	c.Expect("Ann said hi")
}

// hidden is what happens to an author who embeds the interface: without Join,
// and not inline.
type hidden struct{ apps.App }

func TestLoopEmbeddedAsAnAppBeginsWithTheFirstMessage(t *testing.T) {
	room := appstest.NewRoom(t, hidden{apps.Loop(func(_ context.Context, s *apps.Session) error {
		m, err := s.Receive()
		s.Send(m)
		return err
	})})
	c := room.Join()
	c.Send("x")
	c.Expect("x")
	c.ExpectClosed(1000)
	room.Post("x").Expect("x")
}

// picky is an app that refuses a client after the session has begun.
type picky struct{ apps.Loop }

func (p picky) Join(c apps.Conn, h apps.Handshake) error {
	return errors.Join(p.Loop.Join(c, h), errors.New("refused"))
}

func TestRefusedClientEndsItsSession(t *testing.T) {
	ended := make(chan error)
	room := appstest.NewRoom(t, picky{func(ctx context.Context, s *apps.Session) error {
		_, err := s.Receive()
		ended <- err
		return err
	}})
	room.ExpectForbidden()
	if err := <-ended; err != io.EOF {
		t.Fatal(err)
	}
}

func TestValueOfASessionIsTaken(t *testing.T) {
	room := appstest.NewRoom(t, apps.Loop(func(_ context.Context, s *apps.Session) error {
		s.Conn.SetValue("mine")
		s.Send(apps.Text("taken"))
		_, err := s.Receive()
		return err
	}))
	c := room.Join()
	c.Expect("taken")
	c.Send("x")
	c.ExpectClosed(1011)
	room.ExpectLogged("value of the connection is taken")
}
