package connect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/caddyws/caddy-websocket/client"
	"github.com/gorilla/websocket"
)

// How long the other side may take.
const (
	closeTimeout = 15 * time.Second // for its close frame: this module finishes for up to 10 s what it owes
	writeTimeout = time.Second      // to take a ping or a close frame
)

// Why a session cuts its connection.
var (
	errNoPong      = errors.New("nothing has come since the last ping")
	errNoClose     = fmt.Errorf("no close frame has come within %s", closeTimeout)
	errInterrupted = errors.New("interrupted while closing")
	errTakesNone   = errors.New("the server takes no close frame")
)

// errUnsent is the end of sending when the connection takes no more: how it ended is
// known to whoever reads.
var errUnsent = errors.New("unsent")

// session is one conversation. Sending and receiving have goroutines of their own,
// which end with the connection; sending may then still wait for its source.
type session struct {
	// Immutable.
	conn *websocket.Conn
	in   source
	out  io.Writer
	form form
	wait wait          // how long nothing must have come before it closes, once in has ended
	ping time.Duration // how often it pings, 0 for never

	heard    chan struct{} // has a value if a message came since it was last read; never closed
	alive    atomic.Bool   // something came since the last ping
	printing atomic.Bool   // out is being written to, so nothing is read

	// Owned by run.
	timer   *time.Timer // when it closes or, if it is closing, cuts
	drained bool        // in has ended
	closing bool        // a close frame is sent, or cannot be
	wrong   error       // why it closes, if that is no good reason
}

// newSession returns a session that is not run yet.
func newSession(conn *websocket.Conn, in source, out io.Writer, f form) *session {
	s := &session{conn: conn, in: in, out: out, form: f, heard: make(chan struct{}, 1)}
	s.alive.Store(true)
	conn.SetPongHandler(func(string) error { s.alive.Store(true); return nil })
	return s
}

// run talks until the connection has ended. The error is nil if it was closed with 1000.
// It closes when interrupted has a value, and cuts when it has another.
func (s *session) run(interrupted <-chan os.Signal) error {
	defer func() { _ = s.conn.Close() }()
	s.timer = time.NewTimer(0)
	s.timer.Stop()
	pings := new(time.Ticker)
	if s.ping > 0 {
		pings = time.NewTicker(s.ping)
		defer pings.Stop()
	}
	ended, sent := make(chan error, 1), make(chan error, 1)
	go func() { ended <- s.receive() }()
	go func() { sent <- s.send() }()
	for {
		var err error
		select {
		case err := <-ended:
			return errors.Join(s.wrong, err)
		case err = <-sent:
			err = s.noMore(err)
		case <-s.heard:
			s.again()
		case <-s.timer.C:
			err = s.late()
		case <-pings.C:
			err = s.askForLife()
		case <-interrupted:
			err = s.interrupt()
		}
		if err != nil {
			return &client.Cut{Cause: err}
		}
	}
}

// noMore takes that there is nothing more to send.
func (s *session) noMore(why error) error {
	switch s.drained = true; {
	case why == io.EOF:
		s.again()
		return nil
	case why == errUnsent:
		s.closing = true
		s.timer.Reset(closeTimeout)
		return nil
	default:
		s.wrong = why
		return s.close()
	}
}

// again begins to wait anew for nothing to come, if that is what it waits for.
func (s *session) again() {
	if s.drained && !s.closing && s.wait != forever {
		s.timer.Reset(time.Duration(s.wait))
	}
}

// late is called when a time is over. While output is not taken, as with a pager,
// nothing is read, and so the server cannot be late.
func (s *session) late() error {
	switch {
	case s.printing.Load():
		s.timer.Reset(closeTimeout) // or sooner, when something is heard
		return nil
	case s.closing:
		return errNoClose
	default:
		return s.close()
	}
}

func (s *session) interrupt() error {
	if s.closing {
		return errInterrupted
	}
	return s.close()
}

// close sends a close frame. What comes before the server's is printed.
func (s *session) close() error {
	if s.closing {
		return nil
	}
	s.closing = true
	s.timer.Reset(closeTimeout)
	frame := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	err := s.conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(writeTimeout))
	if err != nil && !errors.Is(err, websocket.ErrCloseSent) { // the server was first
		return errTakesNone
	}
	return nil
}

// askForLife pings, and fails if nothing has come since the ping before.
func (s *session) askForLife() error {
	if s.closing {
		return nil
	}
	if !s.alive.Swap(false) && !s.printing.Load() {
		return errNoPong
	}
	if s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)) != nil {
		s.alive.Store(true) // it was not asked, as something longer is being sent
	}
	return nil
}

// send sends what there is to send. It never returns nil.
func (s *session) send() error {
	for {
		m, err := s.in.next()
		if err != nil {
			return err
		}
		if s.conn.WriteMessage(m.kind, m.payload) != nil {
			return errUnsent
		}
	}
}

// receive prints what comes until the connection has ended, and tells how.
func (s *session) receive() error {
	for {
		kind, r, err := s.conn.NextReader()
		if err != nil {
			return client.Ended(err)
		}
		payload, err := io.ReadAll(&listener{r, s})
		if err != nil {
			return client.Ended(err)
		}
		if kind == websocket.TextMessage && !utf8.Valid(payload) {
			return s.reject(websocket.CloseInvalidFramePayloadData, errors.New("the server breaks the protocol: a text message is not UTF-8"))
		}
		if err := s.print(message{kind, payload}); err != nil {
			return s.reject(websocket.CloseGoingAway, fmt.Errorf("printing: %w", err))
		}
		select {
		case s.heard <- struct{}{}:
		default:
		}
	}
}

func (s *session) print(m message) error {
	s.printing.Store(true)
	_, err := s.out.Write(s.form(m))
	s.alive.Store(true)
	s.printing.Store(false)
	return err
}

// reject tells the server why this side does not go on.
func (s *session) reject(code int, why error) error {
	_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(writeTimeout)) // it ends either way
	return why
}

// listener notices each sign of life within a long message.
type listener struct {
	io.Reader
	s *session
}

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	l.s.alive.Store(true)
	return n, err
}
