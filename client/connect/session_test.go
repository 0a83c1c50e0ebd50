package connect

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/client"
	"github.com/caddyws/caddy-websocket/client/clienttest"
	"github.com/gorilla/websocket"
)

// output keeps what is printed.
type output struct {
	mu sync.Mutex
	bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.String()
}

// talking returns a session with a server in memory. It must be called in a bubble.
func talking(t *testing.T, input io.Reader, talk func(*websocket.Conn)) (*session, *output) {
	t.Helper()
	conn, _, err := clienttest.Serve(t, talk).DialContext(t.Context(), "ws://memory/", nil)
	if err != nil {
		t.Fatal(err)
	}
	out := new(output)
	s := newSession(conn, newLines(input, 1<<20), out, raw)
	s.wait = wait(time.Second)
	return s, out
}

// closes ends a connection from the server's side.
func closes(conn *websocket.Conn, code int, reason string) {
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
	_, _, _ = conn.ReadMessage()
}

// reads takes what comes until the connection ends.
func reads(conn *websocket.Conn) {
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return
		}
	}
}

// Once the input has ended, the session waits until nothing has come for the time, and
// each message has it wait anew.
func TestWaitsForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := talking(t, strings.NewReader("one\ntwo"), func(conn *websocket.Conn) {
			for range 2 {
				_, payload, _ := conn.ReadMessage()
				time.Sleep(900 * time.Millisecond)
				_ = conn.WriteMessage(websocket.TextMessage, payload)
			}
			reads(conn)
		})
		begin := time.Now()
		if err := s.run(nil); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); out.String() != "one\ntwo\n" || took != 2800*time.Millisecond {
			t.Errorf("printed %q after %s", out.String(), took)
		}
	})
}

// What a server still owes when it is told to close is printed, without any wait.
func TestWhatIsOwedAtTheEndIsPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := talking(t, strings.NewReader("7\n"), func(conn *websocket.Conn) {
			_, payload, _ := conn.ReadMessage()
			conn.SetCloseHandler(func(int, string) error {
				time.Sleep(9 * time.Second)
				_ = conn.WriteMessage(websocket.TextMessage, payload)
				closes(conn, 1000, "")
				return nil
			})
			reads(conn)
		})
		s.wait = 0
		if err := s.run(nil); err != nil || out.String() != "7\n" {
			t.Errorf("printed %q, %v", out.String(), err)
		}
	})
}

func TestForeverWaitsForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := talking(t, strings.NewReader(""), func(conn *websocket.Conn) {
			time.Sleep(100 * time.Hour)
			_ = conn.WriteMessage(websocket.TextMessage, []byte("late"))
			closes(conn, 1000, "")
		})
		s.wait = forever
		if err := s.run(nil); err != nil || out.String() != "late\n" {
			t.Errorf("printed %q, %v", out.String(), err)
		}
	})
}

// How a connection ends decides the exit status and what is said.
func TestEnds(t *testing.T) {
	for _, row := range []struct {
		name   string
		talk   func(*websocket.Conn)
		status int // 1 for errors that name none
		says   string
	}{
		{"normal", func(c *websocket.Conn) { closes(c, 1000, "bye") }, 0, ""},
		{"going away", func(c *websocket.Conn) { closes(c, 1001, "stopping") }, 3, "1001 going away: stopping"},
		{"too big", func(c *websocket.Conn) { closes(c, 1009, "") }, 3, "1009 message too big"},
		{"of an app", func(c *websocket.Conn) { closes(c, 4321, "own\x1b]0;title\a") }, 3, `4321: own\x1b]0;title\x07`},
		{"no code", func(c *websocket.Conn) {
			_ = c.WriteControl(websocket.CloseMessage, nil, time.Now().Add(time.Second))
			_, _, _ = c.ReadMessage()
		}, 3, "1005 no code"},
		{"cut", func(*websocket.Conn) {}, 4, "without a close frame"},
		{"cut in the middle of a message", func(c *websocket.Conn) { _, _ = c.NetConn().Write([]byte{0x81, 5, 'h', 'a'}) }, 4, "without a close frame"},
		{"a frame that breaks the rules", func(c *websocket.Conn) { _, _ = c.NetConn().Write([]byte{0xf1, 0}); reads(c) }, 1, "breaks the protocol"},
		{"text that is not UTF-8", func(c *websocket.Conn) { _ = c.WriteMessage(websocket.TextMessage, []byte{0xff}); reads(c) }, 1, "not UTF-8"},
		{"a message beyond the limit", func(c *websocket.Conn) { _ = c.WriteMessage(websocket.TextMessage, make([]byte, 2<<20)); reads(c) }, 1, "too big"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, out := talking(t, strings.NewReader(""), row.talk)
				s.wait = forever
				s.conn.SetReadLimit(1 << 20)
				err := s.run(nil)
				if got := status(err); got != row.status || err != nil && !strings.Contains(err.Error(), row.says) {
					t.Errorf("status %d, %v", got, err)
				}
				if out.String() != "" {
					t.Errorf("printed %q", out.String())
				}
			})
		})
	}
}

// status is the exit status that an error names.
func status(err error) int {
	var named interface{ ExitStatus() int }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &named):
		return named.ExitStatus()
	default:
		return 1
	}
}

// An interruption closes with 1000, and another one cuts a server that does not answer.
func TestInterruptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := talking(t, neverEnds(t), reads)
		interrupted := make(chan os.Signal, 1)
		interrupted <- os.Interrupt
		if err := s.run(interrupted); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, _ := talking(t, neverEnds(t), deaf)
		interrupted := make(chan os.Signal, 2)
		interrupted <- os.Interrupt
		interrupted <- os.Interrupt
		begin := time.Now()
		err := s.run(interrupted)
		if status(err) != 4 || !strings.Contains(err.Error(), "interrupted while closing") || time.Since(begin) != 0 {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

// neverEnds is an input that a person does not type into.
func neverEnds(t *testing.T) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return r
}

// deaf takes bytes and answers none, not even a close frame.
func deaf(conn *websocket.Conn) { _, _ = io.Copy(io.Discard, conn.NetConn()) }

// A server that does not close is left after a while.
func TestServersThatDoNotClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := talking(t, strings.NewReader("7\n"), deaf)
		begin := time.Now()
		err := s.run(nil)
		if status(err) != 4 || !strings.Contains(err.Error(), "no close frame has come") || time.Since(begin) != s.duration()+closeTimeout {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

func (s *session) duration() time.Duration { return time.Duration(s.wait) }

// A server that reads nothing does not hold up an interruption.
func TestServersThatReadNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		s, _ := talking(t, strings.NewReader(strings.Repeat("x", 1<<19)+"\n"), func(*websocket.Conn) { <-done })
		interrupted := make(chan os.Signal, 1)
		time.AfterFunc(time.Minute, func() { interrupted <- os.Interrupt })
		begin := time.Now()
		err := s.run(interrupted)
		if status(err) != 4 || !strings.Contains(err.Error(), "takes no close frame") || time.Since(begin) != time.Minute+writeTimeout {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		close(done)
	})
}

// With pings a silent server is cut, and one that answers them is not.
func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := talking(t, neverEnds(t), deaf)
		s.ping = 10 * time.Second
		begin := time.Now()
		if err := s.run(nil); status(err) != 4 || !strings.Contains(err.Error(), "since the last ping") || time.Since(begin) != 20*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, _ := talking(t, neverEnds(t), reads)
		s.ping = 10 * time.Second
		interrupted := make(chan os.Signal, 1)
		time.AfterFunc(time.Hour+time.Second, func() { interrupted <- os.Interrupt })
		if err := s.run(interrupted); err != nil {
			t.Error(err)
		}
	})
}

// While somebody pages through the output nothing is read, so that no pong can come and
// no close frame: that is no sign of death.
func TestPingsWhilePrintingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := talking(t, strings.NewReader("7\n"), func(conn *websocket.Conn) {
			conn.SetPingHandler(func(string) error { return nil }) // a pong would have no room in the pipe
			clienttest.Echo(conn)
		})
		s.ping, s.wait = 10*time.Second, wait(5*time.Second)
		r, w := io.Pipe()
		s.out = w
		time.AfterFunc(time.Minute, func() { _, _ = io.Copy(io.Discard, r) })
		if err := s.run(nil); err != nil {
			t.Error(err)
		}
		_ = w.Close()
	})
}

// Input that cannot be sent ends the conversation, politely and with its reason.
func TestInputThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var code int
		s, out := talking(t, strings.NewReader("good\nb\xffd\n"), func(conn *websocket.Conn) {
			conn.SetCloseHandler(func(c int, _ string) error {
				code = c
				closes(conn, 1000, "")
				return nil
			})
			clienttest.Echo(conn)
		})
		err := s.run(nil)
		if status(err) != 1 || !strings.Contains(err.Error(), "line 2 of the input is not UTF-8") || code != 1000 || out.String() != "good\n" {
			t.Errorf("%v, closed with %d, printed %q", err, code, out.String())
		}
	})
}

// If the output takes no more, the server is told that nobody listens.
func TestOutputThatIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var code int
		s, _ := talking(t, strings.NewReader("7\n"), func(conn *websocket.Conn) {
			conn.SetCloseHandler(func(c int, _ string) error { code = c; return nil })
			clienttest.Echo(conn)
		})
		s.out = full{}
		if err := s.run(nil); status(err) != 1 || !strings.Contains(err.Error(), "printing: no space left") {
			t.Error(err)
		}
		synctest.Wait()
		if code != 1001 {
			t.Errorf("closed with %d", code)
		}
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// A connection that is cut is told as such, whatever was being sent.
func TestCutWhileSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := talking(t, strings.NewReader(strings.Repeat("a line\n", 1000)), func(conn *websocket.Conn) {
			for range 10 {
				_, _, _ = conn.ReadMessage()
			}
		})
		var cut *client.Cut
		if err := s.run(nil); !errors.As(err, &cut) {
			t.Error(err)
		}
	})
}

func TestLines(t *testing.T) {
	for input, want := range map[string][]string{
		"":                         nil,
		"a":                        {"a"},
		"a\nb\n":                   {"a", "b"},
		"a\r\n\nb":                 {"a", "", "b"},
		"\r\r\n":                   {"\r"},
		"12345678\n":               {"12345678"},
		"12345678\r\n":             {"12345678"},
		"a\n123456789\n":           {"a", "line 2 of the input has more than 8 bytes (--max-message-size)"},
		"a\n\xc3\n":                {"a", "line 2 of the input is not UTF-8, which a text message must be; use --binary to send all of the input as one binary message"},
		strings.Repeat("x", 1<<20): {"line 1 of the input has more than 8 bytes (--max-message-size)"},
	} {
		if got := all(newLines(strings.NewReader(input), 8)); !slices.Equal(got, want) {
			t.Errorf("%.20q: %q, want %q", input, got, want)
		}
	}
}

func TestWholeInput(t *testing.T) {
	for input, want := range map[string][]string{
		"":          {""},
		"a\n\xff":   {"a\n\xff"},
		"12345678":  {"12345678"},
		"123456789": {"the input has more than 8 bytes (--max-message-size)"},
	} {
		if got := all(&whole{r: strings.NewReader(input), limit: 8}); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", input, got, want)
		}
	}
}

// all reads a source to its end or its error.
func all(s source) (texts []string) {
	for {
		m, err := s.next()
		switch {
		case err == io.EOF:
			return texts
		case err != nil:
			return append(texts, err.Error())
		}
		texts = append(texts, string(m.payload))
	}
}

// An input that fails is an error, also in the middle of a line.
func TestInputThatFails(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("a\nhalf"), failing{})
	l := newLines(broken, 8)
	if _, err := l.next(); err != nil {
		t.Fatal(err)
	}
	if m, err := l.next(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%q, %v", m.payload, err)
	}
	if m, err := (&whole{r: failing{}, limit: 8}).next(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%q, %v", m.payload, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, net.ErrClosed }
