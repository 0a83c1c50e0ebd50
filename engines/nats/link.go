package nats

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// How the connection is kept.
const (
	dialTimeout   = 2 * time.Second
	reconnectWait = 250 * time.Millisecond  // between two tries of a server, and up to as much again
	pingInterval  = 1500 * time.Millisecond // a connection without answers is given up after three of these, or sooner
	flushTimeout  = 5 * time.Second         // a connection that takes nothing for so long is given up

	// answerTimeout is how long one answer is waited for. A server that leads nothing any
	// more, or not yet, may not give one: what may be repeated is repeated sooner at first.
	answerTimeout = 5 * time.Second
	firstTimeout  = 500 * time.Millisecond

	// The pause before a request is tried again grows.
	shortestPause = 20 * time.Millisecond
	longestPause  = time.Second
)

// errUnsent is of a request that no server has taken, so that it has no effect.
var errUnsent = errors.New("NATS has not taken it")

// errAway is of a request that was not sent.
var errAway = errors.New("there is no connection to NATS")

var errClosed = errors.New("engine is closed")

// link is the connection to the servers. The client of NATS keeps a connection by itself, but
// gives it up for good if a server tells an error that the client does not know, such as that
// a message is too large since a moment ago. Then the link replaces the client.
type link struct {
	// Immutable.
	settings []nats.Option
	urls     string
	over     context.Context // ends when what is not sent shall not be sent any more
	end      context.CancelFunc

	errors  seldom // of lines in the log
	client  atomic.Pointer[nats.Conn]
	closed  chan struct{}  // holds one token when a client has closed; never closed
	keeping sync.WaitGroup // for keep

	mu sync.Mutex
	// Guarded by mu.
	present   connection
	back      context.Context // ends when a connection is there again, by come
	come      context.CancelFunc
	onLoss    func()           // called when what was sent to here may be lost
	onReplace func(*nats.Conn) // called with another client, which has no subscriptions
	onCut     func()           // called when a connection has ended, and when there is another one
}

// connection is one connection of one client, which has one after the other.
type connection struct {
	client     *nats.Conn
	reconnects uint64
}

func connectionOf(client *nats.Conn) connection {
	return connection{client: client, reconnects: client.Stats().Reconnects}
}

// dial connects to one of the servers, unless ctx ends before.
func dial(ctx context.Context, settings []nats.Option, urls string) (*link, error) {
	l := &link{
		settings:  settings,
		urls:      urls,
		closed:    make(chan struct{}, 1),
		onLoss:    func() {},
		onReplace: func(*nats.Conn) {},
		onCut:     func() {},
	}
	l.over, l.end = context.WithCancel(context.Background())
	l.back, l.come = context.WithCancel(context.Background())
	conn, err := l.connect(ctx)
	if err != nil {
		l.end()
		return nil, err
	}
	l.client.Store(conn)
	l.mu.Lock()
	l.present = connectionOf(conn)
	l.mu.Unlock()
	l.keeping.Go(l.keep)
	return l, nil
}

// connect connects to one of the servers. If ctx ends before, so does the link.
func (l *link) connect(ctx context.Context) (*nats.Conn, error) {
	d := &dialer{over: l.over}
	goOn := context.AfterFunc(ctx, func() {
		l.end()
		d.cut()
	})
	conn, err := nats.Connect(l.urls, slices.Concat(l.settings, l.options(d))...)
	if !goOn() {
		if err == nil {
			conn.Close()
		}
		return nil, ctx.Err()
	}
	return conn, err
}

// conn returns the client, which may be another one at the next call.
func (l *link) conn() *nats.Conn { return l.client.Load() }

// keep replaces clients that have closed, until the link ends.
func (l *link) keep() {
	for {
		select {
		case <-l.closed:
		case <-l.over.Done():
			return
		}
		if conn := l.conn(); conn.IsClosed() && l.over.Err() == nil {
			logger().Error("the client of NATS has given up its connection, connecting anew", zap.Error(conn.LastError()))
		}
		for l.conn().IsClosed() && l.wait(l.over, nil, 2*reconnectWait) {
			l.renew()
		}
	}
}

// renew connects with another client, if a server can be reached now.
func (l *link) renew() {
	conn, err := l.connect(l.over)
	if err != nil {
		l.complain(err)
		return
	}
	l.client.Store(conn)
	l.mu.Lock()
	onReplace := l.onReplace
	l.mu.Unlock()
	onReplace(conn)
	l.welcome(conn)
}

func (l *link) options(d *dialer) []nats.Option {
	return []nats.Option{
		nats.Name("caddy-websocket"),
		nats.NoEcho(), // messages are for other nodes
		nats.SetCustomDialer(d),
		nats.Timeout(dialTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1), // what cannot be sent is an error at once
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.IgnoreAuthErrorAbort(), // rights may come back
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(flushTimeout),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if l.over.Err() == nil {
				logger().Warn("connection to NATS lost, trying to come back", zap.Error(err))
				l.tellCut()
			}
		}),
		nats.ReconnectHandler(l.welcome),
		nats.ClosedHandler(func(*nats.Conn) {
			select {
			case l.closed <- struct{}{}:
			default:
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			l.complain(err)
			l.suspect()
		}),
	}
}

// welcome wakes those that wait for a connection.
func (l *link) welcome(conn *nats.Conn) {
	logger().Info("connected to NATS again", zap.String("server", conn.ConnectedServerName()))
	l.note(conn)
	l.suspect()
	l.tellCut()
}

// note has requests be sent over the connection of a client, if that is not known yet.
func (l *link) note(conn *nats.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := connectionOf(conn)
	if conn != l.conn() || c == l.present {
		return
	}
	l.present = c
	l.come()
	l.back, l.come = context.WithCancel(context.Background())
}

// listen has functions called: one when what was sent to here may be lost, one with each client
// that replaces another, and one when a connection has ended or there is another one.
func (l *link) listen(onLoss func(), onReplace func(*nats.Conn), onCut func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onLoss, l.onReplace, l.onCut = onLoss, onReplace, onCut
}

// tellCut tells that a connection has ended, or that there is another one.
func (l *link) tellCut() {
	l.mu.Lock()
	onCut := l.onCut
	l.mu.Unlock()
	onCut()
}

// complain writes an error to the log, but not twice within a minute.
func (l *link) complain(err error) {
	if l.over.Err() == nil && l.errors.admits(time.Now()) {
		logger().Error("NATS", zap.Error(err))
	}
}

// suspect tells that what was sent to here may be lost.
func (l *link) suspect() {
	l.mu.Lock()
	onLoss := l.onLoss
	l.mu.Unlock()
	onLoss()
}

// returning returns a channel that is closed when a connection is there again.
func (l *link) returning() <-chan struct{} { return l.untilReplaced().Done() }

// untilReplaced returns what ends when another connection has taken the place of the present one.
func (l *link) untilReplaced() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.back
}

// close ends the connection.
func (l *link) close() {
	l.end()
	l.keeping.Wait()
	l.conn().Close()
}

// write sends a request and returns the answer. It is tried again as long as certainly no
// server has taken it. An error is errUnsent, or leaves open what has become of it.
func (l *link) write(ctx context.Context, request *nats.Msg) (*nats.Msg, error) {
	return l.request(ctx, request, answerTimeout, func(err error) bool { return isUnsent(err) && !errors.Is(err, nats.ErrMaxPayload) })
}

// read sends a request that may be repeated, until it is answered or ctx ends.
func (l *link) read(ctx context.Context, subject string, data []byte) (*nats.Msg, error) {
	return l.request(ctx, &nats.Msg{Subject: subject, Data: data}, firstTimeout, func(error) bool { return true })
}

// request sends a request, again after an error that allows to. The first answer is waited for up
// to a limit, which grows.
func (l *link) request(ctx context.Context, m *nats.Msg, limit time.Duration, again func(error) bool) (*nats.Msg, error) {
	for pause := shortestPause; ; pause, limit = min(2*pause, longestPause), min(2*limit, answerTimeout) {
		back := l.returning()
		if err := l.ended(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", errUnsent, err)
		}
		answer, err := l.attempt(ctx, m, limit)
		if err == nil {
			return answer, nil
		}
		if isUnsent(err) {
			err = fmt.Errorf("%w: %w", errUnsent, err)
		}
		if !again(err) || !l.wait(ctx, back, pause) {
			return nil, err
		}
	}
}

// ended returns why nothing is to be sent any more, if so.
func (l *link) ended(ctx context.Context) error {
	if l.over.Err() != nil {
		return errClosed
	}
	return ctx.Err()
}

// errLost is of a request whose answer cannot come any more.
var errLost = errors.New("the connection to NATS was lost before the answer")

// attempt sends a request once. The answer is not waited for over a connection that another one
// has replaced.
func (l *link) attempt(ctx context.Context, request *nats.Msg, limit time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	replaced := l.untilReplaced()
	defer context.AfterFunc(replaced, cancel)()
	conn := l.conn()
	switch { // the client would remember what it then does not send
	case !conn.IsConnected() || !l.isNoted(conn):
		return nil, errAway
	case int64(len(request.Data)) > conn.MaxPayload():
		return nil, nats.ErrMaxPayload
	}
	answer, err := conn.RequestMsgWithContext(ctx, request)
	if err != nil && replaced.Err() != nil {
		err = errLost
	}
	return answer, err
}

// isNoted reports whether the connection of a client is the present one. Another one has just
// begun: that would end what waits for answers of the one before.
func (l *link) isNoted(conn *nats.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return connectionOf(conn) == l.present
}

// wait waits for a connection, or for a while, and reports whether to try again.
func (l *link) wait(ctx context.Context, back <-chan struct{}, pause time.Duration) bool {
	t := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // not a secret
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-l.over.Done():
		return false
	case <-back:
	case <-t.C:
	}
	return true
}

// unsent is what the client says when it has sent nothing, or the server when nobody was
// there to take it. ErrConnectionClosed is not among them: it is also said of what was sent.
var unsent = []error{errAway, nats.ErrNoResponders, nats.ErrReconnectBufExceeded, nats.ErrMaxPayload, errUnsent}

// isUnsent reports whether an error says that no server has taken the request.
func isUnsent(err error) bool {
	for _, e := range unsent {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// seldom admits one event a minute.
type seldom struct{ last atomic.Int64 } // when it has admitted one; Unix seconds

// admits reports whether an event is admitted at a time.
func (s *seldom) admits(now time.Time) bool {
	last := s.last.Load()
	return now.Unix()-last >= 60 && s.last.CompareAndSwap(last, now.Unix())
}
