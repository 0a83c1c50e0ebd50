package measure

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/client/clienttest"
	"github.com/gorilla/websocket"
)

// measured runs a plan against a server in memory. It must be called in a bubble.
func measured(t *testing.T, p plan, server *websocket.Dialer) *Report {
	t.Helper()
	report, err := timed(p, server).do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// timed returns a run by the clock of the bubble.
func timed(p plan, server *websocket.Dialer) *run {
	r := newRun(p, dialed(server))
	r.sleep = time.Sleep
	return r
}

func dialed(server *websocket.Dialer) func(context.Context) (*websocket.Conn, error) {
	return func(ctx context.Context) (*websocket.Conn, error) {
		conn, _, err := server.DialContext(ctx, "ws://memory/", nil)
		return conn, err
	}
}

// paced is a plan of ten messages a second for a second.
func paced() plan {
	return plan{connections: 1, rate: 10, size: minSize, duration: time.Second, wait: time.Second}
}

// is compares milliseconds: histograms have three digits.
func is(t *testing.T, what string, got float64, want float64) {
	t.Helper()
	if got < want || got > want*1.001+0.001 {
		t.Errorf("%s is %v ms, want %v", what, got, want)
	}
}

// A server that stops for 500 ms when the third of ten messages comes has half of them
// wait, though it is slow only once. Each time counts from when its message was due.
func TestAStallCountsForAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		report := measured(t, paced(), clienttest.Serve(t, func(conn *websocket.Conn) {
			for {
				kind, payload, err := conn.ReadMessage()
				if err != nil {
					return
				}
				if n++; n == 3 {
					time.Sleep(500 * time.Millisecond)
				}
				if conn.WriteMessage(kind, payload) != nil {
					return
				}
			}
		}))
		if m := report.Messages; m.Planned != 10 || m.Sent != 10 || m.Answered != 10 || m.NotSent+m.Unanswered != 0 {
			t.Errorf("messages: %+v", m)
		}
		// 500, 400, 300, 200 and 100 ms; five took no time.
		is(t, "the longest", report.Answers.Max, 500)
		is(t, "the mean", report.Answers.Mean, 150)
		is(t, "nine of ten", report.Answers.P90, 400)
		if late := report.Late; late.Max < 300 { // the fourth and later ones could not be written meanwhile
			t.Errorf("sent late by %+v", late)
		}
		if err := report.Incomplete(); err != nil {
			t.Error(err)
		}
	})
}

// Without a rate the same stall is one time of many, and the report says what that means.
func TestWithoutRateTheTimesAreOfPatientClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := paced()
		p.rate = 0
		report := measured(t, p, clienttest.Serve(t, func(conn *websocket.Conn) {
			for {
				kind, payload, err := conn.ReadMessage()
				time.Sleep(10 * time.Millisecond)
				if err != nil || conn.WriteMessage(kind, payload) != nil {
					return
				}
			}
		}))
		is(t, "half", report.Answers.P50, 10)
		if m := report.Messages; m.Answered < 99 || m.Answered > 101 || m.Sent != m.Answered {
			t.Errorf("messages: %+v", m)
		}
		if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "patient") {
			t.Errorf("notes: %q", report.Notes)
		}
	})
}

// A server that takes nothing more is not sent what is due: that is told, and is an
// error.
func TestWhatCannotBeSentIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		defer close(stop)
		report := measured(t, paced(), clienttest.Serve(t, func(conn *websocket.Conn) {
			_, _, _ = conn.ReadMessage()
			<-stop
		}))
		if m := report.Messages; m.Sent != 1 || m.NotSent != 9 || m.Unanswered != 1 {
			t.Errorf("messages: %+v", m)
		}
		err := report.Incomplete()
		if err == nil || !strings.Contains(err.Error(), "9 messages were due and not sent") || !strings.Contains(err.Error(), "1 messages have no answer") {
			t.Error(err)
		}
	})
}

// The answers of others, as in a chat, are deliveries. What has no marker is only
// counted, and a marker of nobody who waits is an error.
func TestWhatComesIsToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := paced()
		p.connections = 2
		room := make(chan *websocket.Conn, 2)
		report := measured(t, p, clienttest.Serve(t, func(conn *websocket.Conn) {
			_ = conn.WriteMessage(websocket.TextMessage, []byte("welcome"))
			room <- conn
			for {
				kind, payload, err := conn.ReadMessage()
				if err != nil {
					return
				}
				one, other := <-room, <-room
				for _, member := range []*websocket.Conn{one, other} {
					_ = member.WriteMessage(kind, payload)
				}
				_ = conn.WriteMessage(kind, payload)
				room <- one
				room <- other
			}
		}))
		if m := report.Messages; m.Answered != 10 || m.Delivered != 10 || m.Others != 2 || report.Deliveries == nil {
			t.Errorf("messages: %+v, deliveries %+v", m, report.Deliveries)
		}
		if len(report.Errors) != 1 || report.Errors[0].Count != 10 || !strings.Contains(report.Errors[0].Error, "twice") {
			t.Errorf("errors: %+v", report.Errors)
		}
	})
}

// Connections that end early are told with their close codes, and nobody waits for
// their answers.
func TestLostConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := paced()
		p.connections, p.wait = 2, time.Hour
		begin := time.Now()
		first := make(chan struct{}, 1)
		first <- struct{}{}
		report := measured(t, p, clienttest.Serve(t, func(conn *websocket.Conn) {
			select {
			case <-first:
				_, _, _ = conn.ReadMessage()
				frame := websocket.FormatCloseMessage(1008, "too\x1b[2Jmany")
				_ = conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Second))
				_, _, _ = conn.ReadMessage()
			default:
				clienttest.Echo(conn)
			}
		}))
		if report.Connections.Lost != 1 || len(report.Errors) != 1 || !strings.Contains(report.Errors[0].Error, `1008 policy violation: too\x1b[2Jmany`) {
			t.Errorf("%+v, %+v", report.Connections, report.Errors)
		}
		if m := report.Messages; m.Sent != 6 || m.Unanswered != 1 || m.NotSent != 4 {
			t.Errorf("messages: %+v", m)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("waited %s for answers that cannot come", took)
		}
	})
}

// If nobody is let in, there is no report but the reason.
func TestNobodyIsLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clienttest.ServeHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
		_, err := timed(paced(), server).do(t.Context())
		if !errors.Is(err, websocket.ErrBadHandshake) {
			t.Error(err)
		}
	})
}

// An interruption ends the run, with a report of what there is.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 550*time.Millisecond)
		defer cancel()
		p := paced()
		p.duration = time.Hour
		report, err := timed(p, clienttest.Serve(t, clienttest.Echo)).do(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if report.Messages.Sent != 6 || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "interrupted after") {
			t.Errorf("%+v, %q", report.Messages, report.Notes)
		}
		if report.Messages.NotSent != 0 || report.Incomplete() != nil {
			t.Errorf("what the user did not want is held against the server: %v", report.Incomplete())
		}
	})
}

// Answers that do not repeat the id of a message are none that can be known. The report
// says what to write instead, with whatever rate.
func TestAnswersWithoutTheID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []float64{0, 10} {
			p := paced()
			p.rate = rate
			report := measured(t, p, clienttest.Serve(t, func(conn *websocket.Conn) {
				for {
					if _, _, err := conn.ReadMessage(); err != nil {
						return
					}
					if conn.WriteMessage(websocket.TextMessage, []byte("7")) != nil {
						return
					}
				}
			}))
			if m := report.Messages; m.Answered != 0 || m.Unanswered != m.Sent || m.Others != m.Sent || m.Sent == 0 {
				t.Errorf("at rate %v: messages: %+v", rate, m)
			}
			if notes := strings.Join(report.Notes, "\n"); !strings.Contains(notes, "--message with {id}") || strings.Contains(notes, "the times are of") {
				t.Errorf("at rate %v: notes: %s", rate, notes)
			}
		}
	})
}

// A message without marker has no times, but is counted.
func TestMessagesWithoutMarker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := paced()
		p.text = "1"
		report := measured(t, p, clienttest.Serve(t, clienttest.Echo))
		if m := report.Messages; m.Sent != 10 || m.Others != 10 || m.Answered+m.Unanswered != 0 || report.Answers != nil {
			t.Errorf("%+v, %+v", m, report.Answers)
		}
		if err := errors.Join(report.writeTable(io.Discard), report.writeJSON(io.Discard)); err != nil {
			t.Error(err)
		}
	})
}
