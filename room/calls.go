package room

import (
	"errors"
	"fmt"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// Calls into the app of a member. A panic of the app becomes an error, here and
// nowhere else.

// callJoin asks the app whether m may enter.
func (m *Member) callJoin(h apps.Handshake) (err error) {
	defer m.recovered(&err)
	if joiner, ok := m.route.App().(apps.Joiner); ok {
		if err := joiner.Join(m.App(), h); err != nil {
			return fmt.Errorf("%w: %w", ErrForbidden, err)
		}
	}
	return nil
}

// callGreets sets whether m is shown the state on joining, for which it may have to
// ask the app.
func (m *Member) callGreets() (err error) {
	defer m.recovered(&err)
	m.greets = m.room.stateful && (m.format != message.Text || m.appGreets())
	return nil
}

func (m *Member) appGreets() bool {
	greeter, ok := m.route.App().(apps.Greeter)
	return ok && greeter.Greets(m.App())
}

// callLeave tells an app that wants to know that m is gone.
func (m *Member) callLeave() (err error) {
	defer m.recovered(&err)
	if leaver, ok := m.route.App().(apps.Leaver); ok {
		leaver.Leave(m.App())
	}
	return nil
}

// receive hands a message to the app and acts on what it returns.
func (m *Member) receive(msg apps.Message, s *stamp) {
	if s != nil {
		m.stamp.Store(s)
		defer m.stamp.Store(nil)
	}
	if err := m.callReceive(msg); err != nil {
		m.failed(err, msg.Data)
	}
}

func (m *Member) callReceive(msg apps.Message) (err error) {
	defer m.recovered(&err)
	if err = m.route.App().Receive(m.App(), msg); err != nil {
		_ = err.Error() // that of a nil pointer panics: here it does no harm
	}
	return err
}

// recovered turns a panic of the app into an error with its stack.
func (m *Member) recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: panic in app %s: %v\n%s", ErrFailed, m.route.AppName, p, debug.Stack())
	}
}

func (m *Member) try(f func()) (err error) {
	defer m.recovered(&err)
	f()
	return nil
}

// failed acts on what an app returned from Receive for a message, which is nil if it
// failed otherwise. Looking into an error runs code of the app, too.
func (m *Member) failed(err error, message []byte) {
	defer func() {
		if p := recover(); p != nil {
			m.route.Tally.AppError()
			m.Log().Error("app failed", zap.Any("panic", p), zap.Stack("stack"))
			m.conn.Close(frames.InternalError, "internal error")
		}
	}()
	var closing *apps.CloseError
	switch {
	case apps.IsRefusal(err):
		text := errors.New(err.Error()) // read now, as that may panic
		s, _ := m.takeStamp()           // what was done before has it
		m.room.refuseByApp(m, message, text, s)
	case errors.As(err, &closing):
		m.App().Close(closing.Code, closing.Reason)
	default:
		m.route.Tally.AppError()
		m.Log().Error("app failed", zap.Error(err))
		m.conn.Close(frames.InternalError, "internal error")
	}
}

// tellFault tells m why what it asked for is not done.
func (m *Member) tellFault(err error, s *stamp, repeat bool) {
	payload := s.fault(err, repeat).Payload(m.format)
	m.room.trace(Sent, m, payload, false)
	m.conn.Refuse(err, payload)
}
