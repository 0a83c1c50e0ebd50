package apps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// Loop is an App made of code that waits for its messages, one goroutine a
// connection:
//
//	func lowerCase(ctx context.Context, s *apps.Session) error {
//		for m := range s.Messages() {
//			s.Send(apps.Text(strings.ToLower(string(m.Data))))
//		}
//		return nil
//	}
//
// The function begins when a client joins. What it returns ends the connection:
// nil closes 1000, a [*CloseError] with its code, [Refuse] tells the client the
// error and closes 1000, any other error and any panic close 1011 and are logged
// with the connection's address. io.EOF from Receive and the error of ctx may be
// returned as they are.
//
// ctx ends with the connection. The function has to return then: Receive does so
// by itself, whatever else it waits for should be given ctx. The hub waits for it
// when it closes, for as long as Caddy gives it, and for nothing else: a client
// has left, and is not counted any more, while its function still ends.
//
// At most 64 messages wait for a session, the one it works on included; then its
// client is not read any further. Over a plain POST a session lives for one
// message: what it sends first is the response, and when it comes back for the
// next message, or returns, without having sent anything, the response is 204.
//
// # As a Caddy module
//
// A Loop is embedded where the module is made. The tag keeps it out of the
// configuration.
//
//	func init() { caddy.RegisterModule(App{}) }
//
//	type App struct {
//		apps.Loop `json:"-"`
//	}
//
//	func (App) CaddyModule() caddy.ModuleInfo {
//		return caddy.ModuleInfo{
//			ID:  "http.websocket.apps.lower_case",
//			New: func() caddy.Module { return &App{Loop: lowerCase} },
//		}
//	}
//
//	func (*App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
//		return options.Set{}.App(d)
//	}
//
// An app with options sets a.Loop = a.run in Provision. Embed Loop itself: what
// is embedded as an App has only Receive, so that a session begins with the first
// message. What a session needs of the handshake is given to it by a Join of
// one's own:
//
//	func (a *App) Join(c apps.Conn, h apps.Handshake) error {
//		name := h.Query.Get("name")
//		return apps.Loop(func(ctx context.Context, s *apps.Session) error {
//			return a.run(ctx, s, name)
//		}).Join(c, h)
//	}
//
// # Coming from dwebsocket
//
//	dwebsocket (Python)                  here
//	@accept_websocket, WEBSOCKET_ACCEPT_ALL   the directive, with http on, its default
//	@require_websocket                   http off
//	request.is_websocket()               not needed: a POST is a session of one message
//	request.websocket                    s
//	ws.wait()                            s.Receive(), io.EOF instead of None
//	ws.read()                            s.TryReceive()
//	ws.count_messages()                  s.Pending()
//	ws.has_messages()                    s.Pending() > 0
//	for m in ws:                         for m := range s.Messages()
//	ws.send(m)                           s.Send(apps.Text(m)), s.Send(apps.Binary(m))
//	ws.close()                           s.Close(1000, ""), or return nil
type Loop func(ctx context.Context, s *Session) error

var (
	errNotWorker = errors.New("loop: the connection is no apps.Worker")
	errValue     = errors.New("loop: the value of the connection is taken: it holds the session")
	errGoexit    = errors.New("loop: its goroutine was ended by runtime.Goexit")
)

// Join begins the session.
func (run Loop) Join(c Conn, _ Handshake) error {
	_, err := run.begin(c)
	return err
}

// Receive hands m to the session.
func (run Loop) Receive(c Conn, m Message) error {
	s, err := run.session(c)
	if err != nil {
		return err
	}
	s.deliver(m)
	return nil
}

// Inline reports that Receive never blocks: only the session does.
func (Loop) Inline() {}

// session returns the session of c, which begins now if nobody has called Join.
func (run Loop) session(c Conn) (*Session, error) {
	switch s := c.Value().(type) {
	case *Session:
		return s, nil
	case nil:
		return run.begin(c)
	}
	return nil, errValue
}

func (run Loop) begin(c Conn) (*Session, error) {
	worker, ok := c.(Worker)
	switch {
	case !ok:
		return nil, errNotWorker
	case c.Value() != nil:
		return nil, errValue
	}
	s := newSession(c, worker)
	c.SetValue(s)
	worker.Go(func() { run.serve(worker.Context(), s) })
	return s, nil
}

// serve runs the function and acts on what came of it, before the messages it
// was given count as settled.
func (run Loop) serve(ctx context.Context, s *Session) {
	err := errGoexit
	defer context.AfterFunc(ctx, s.leave)()
	defer s.finish()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		s.conclude(ctx, err)
	}()
	err = run(ctx, s)
}

// conclude ends the connection as the function wants it.
func (s *Session) conclude(ctx context.Context, err error) {
	if err != nil && !s.isEnd(ctx, err) {
		s.worker.Fail(err)
		if !IsRefusal(err) {
			return
		}
	}
	s.Conn.Close(normalClosure, "")
}

const normalClosure = 1000 // RFC 6455 section 7.4.1

// isEnd reports whether err only says that the connection has ended.
func (s *Session) isEnd(ctx context.Context, err error) bool {
	switch {
	case ctx.Err() != nil:
		return errors.Is(err, io.EOF) || errors.Is(err, ctx.Err())
	case s.isOver():
		return errors.Is(err, io.EOF)
	}
	return false
}

// Interface guards
var (
	_ App    = Loop(nil)
	_ Joiner = Loop(nil)
	_ Inline = Loop(nil)
)
