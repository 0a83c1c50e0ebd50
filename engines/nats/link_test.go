package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/caddyws/caddy-websocket/engines"
)

// Opening ends with its context, however many servers there are that accept and say nothing.
func TestOpenEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		var all []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			all = append(all, c)
			cancel() // while the client waits to hear something
		}
		for _, c := range all {
			c.Close()
		}
	}()
	o := &Opener{Bucket: newBucket()}
	for range maxURLs {
		o.URLs = append(o.URLs, "nats://"+l.Addr().String())
	}
	opened := make(chan error, 1)
	go func() {
		_, err := o.Open(ctx)
		opened <- err
	}()
	if err := receive(t, "the error", opened); !errors.Is(err, engines.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A server that is told to take smaller messages ends connections by an error that the client
// of NATS does not know: it gives up. Another client goes on, with what was subscribed to.
func TestAClientThatGivesUp(t *testing.T) {
	options := serverOptions(t)
	options.MaxPayload = 1 << 20
	s := startServer(t, options)
	bucket := newBucket()
	near := openEngine(t, &Opener{URLs: []string{s.ClientURL()}, Bucket: bucket})
	far := openEngine(t, &Opener{URLs: []string{s.ClientURL()}, Bucket: bucket})
	events := subscribe(t, far, key(1))
	first, large := far.link.conn(), value(strings.Repeat("x", 100<<10))
	smaller := options.Clone()
	smaller.MaxPayload = 64 << 10
	if err := s.ReloadOptions(smaller); err != nil {
		t.Fatal(err)
	}
	if rev, err := far.Swap(bounded(t), key(2), 0, large); err == nil {
		t.Fatalf("it is stored under revision %d", rev)
	}
	eventually(t, "the client gives up", first.IsClosed)
	rev := swap(t, far, key(2), 0, value("x"))
	if _, err := far.Swap(bounded(t), key(2), rev, large); !errors.Is(err, engines.ErrRefused) || !errors.Is(err, nats.ErrMaxPayload) {
		t.Error(err)
	}
	expectRev(t, events, swap(t, near, key(1), 0, value("x")))
	if err := near.Publish(bounded(t), key(1), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if event := receive(t, "the message", events); string(event.Message) != "hello" {
		t.Errorf("told %+v", event)
	}
	expectCount(t, far, 2)
}

// A subscription that is made while the client is given up is that of the next one, once.
func TestSubscribingWhileTheClientIsReplaced(t *testing.T) {
	near, far, p := behind(t)
	kept := subscribe(t, far, key(1))
	p.set(func() { p.shut = true })
	far.link.conn().Close()
	subscribed := make(chan (<-chan engines.Event))
	go func() { subscribed <- subscribe(t, far, key(2)) }()
	eventually(t, "two rooms are heard of", func() bool { return subscribedTo(far) == 2 })
	p.set(func() { p.shut = false })
	for room, events := range map[int]<-chan engines.Event{1: kept, 2: receive(t, "the subscription", subscribed)} {
		expectRev(t, events, swap(t, near, key(room), 0, value("x")))
		for _, text := range []string{"hello", "bye"} {
			if err := near.Publish(bounded(t), key(room), []byte(text)); err != nil {
				t.Fatal(err)
			}
			if event := receive(t, "the message", events); string(event.Message) != text {
				t.Errorf("told %+v, want %q", event, text)
			}
		}
	}
}

// Closing the engine does not wait until a server can be reached again.
func TestCloseWhileTheClientIsReplaced(t *testing.T) {
	_, far, p := behind(t)
	p.set(func() { p.shut = true })
	far.link.conn().Close()
	eventually(t, "it is noticed", func() bool { return len(far.link.closed) == 0 })
	if err := far.Close(); err != nil {
		t.Error(err)
	}
}

// What is too large for the server is not tried again.
func TestWhatIsTooLargeIsRefusedAtOnce(t *testing.T) {
	s := startServer(t, serverOptions(t))
	e := openEngine(t, &Opener{URLs: []string{s.ClientURL()}, Bucket: newBucket()})
	ctx := bounded(t)
	_, err := e.bucket.put(ctx, e.bucket.rooms+"a.b", 0, nats.Header{}, make([]byte, e.link.conn().MaxPayload()))
	if !errors.Is(err, engines.ErrRefused) || !errors.Is(err, nats.ErrMaxPayload) || ctx.Err() != nil {
		t.Error(err)
	}
}

// What cannot be sent leaves nothing behind in the client.
func TestNothingGrowsWithoutAConnection(t *testing.T) {
	near, far, p := behind(t)
	one := &nats.Msg{Subject: "x"}
	for range 3 {
		large := &nats.Msg{Subject: "x", Data: make([]byte, near.link.conn().MaxPayload()+1)}
		if _, err := near.link.attempt(bounded(t), large, patience); !isUnsent(err) {
			t.Error(err)
		}
	}
	p.set(func() { p.shut = true })
	p.cut()
	eventually(t, "the connection is lost", far.link.conn().IsReconnecting)
	for range 3 {
		if _, err := far.link.attempt(bounded(t), one, patience); !isUnsent(err) {
			t.Error(err)
		}
		if _, err := far.fetchDirect(bounded(t), "x", 1); !isUnsent(err) {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := far.flush(ctx); err == nil {
			t.Error("what was sent has arrived")
		}
		cancel()
	}
	for name, conn := range map[string]*nats.Conn{"too large": near.link.conn(), "away": far.link.conn()} {
		if n := reflect.ValueOf(conn).Elem().FieldByName("respMap").Len(); n != 0 {
			t.Errorf("%s: %d requests are remembered", name, n)
		}
		if n, err := conn.Buffered(); err != nil || n != 0 {
			t.Errorf("%s: %d bytes are buffered, %v", name, n, err)
		}
	}
}

// A fault that comes again and again does not fill the log.
func TestErrorsAreLoggedSeldom(t *testing.T) {
	var s seldom
	for _, test := range []struct {
		second int
		want   bool
	}{{0, true}, {0, false}, {59, false}, {60, true}, {61, false}, {300, true}} {
		if s.admits(today.Add(time.Duration(test.second)*time.Second)) != test.want {
			t.Errorf("in second %d: %v", test.second, !test.want)
		}
	}
}

// While a message of the same subject is being stored, another is tried again, but not for
// ever.
func TestASubjectThatIsBusy(t *testing.T) {
	s := startServer(t, serverOptions(t))
	e := openEngine(t, &Opener{URLs: []string{s.ClientURL()}, Bucket: newBucket()})
	server, _ := connect(t, s.ClientURL())
	for _, test := range []struct {
		busy, asked int
		want        error
	}{{0, 1, nil}, {busyTries - 1, busyTries, nil}, {2 * busyTries, busyTries, engines.ErrConflict}} {
		asked, subject := 0, fmt.Sprint("busy.", test.busy)
		answers, err := server.Subscribe(subject, func(m *nats.Msg) {
			answer := fmt.Sprintf(`{"stream":%q,"seq":7}`, e.bucket.name)
			if asked++; asked <= test.busy {
				answer = fmt.Sprintf(`{"error":{"code":400,"err_code":%d,"description":"wrong last sequence"}}`, codeBusy)
			}
			_ = m.Respond([]byte(answer))
		})
		if err != nil || server.Flush() != nil {
			t.Fatal(err)
		}
		seq, err := e.bucket.put(bounded(t), subject, 6, nats.Header{}, nil)
		if !errors.Is(err, test.want) || (seq == 7) != (test.want == nil) {
			t.Errorf("busy for %d: %d, %v", test.busy, seq, err)
		}
		if err := answers.Drain(); err != nil || server.Flush() != nil {
			t.Fatal(err)
		}
		eventually(t, "the answers are given", func() bool { return !answers.IsValid() })
		if asked != test.asked {
			t.Errorf("busy for %d: asked %d times, want %d", test.busy, asked, test.asked)
		}
	}
}

// An answer is not waited for that was lost with its connection: not once there is another one.
func TestAnAnswerIsLostWithItsConnection(t *testing.T) {
	p := newProxy(t, startServer(t, serverOptions(t)).Addr().String())
	e := openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: newBucket()})
	p.set(func() { p.deaf = true })
	sent := e.link.conn().Stats().OutMsgs
	outcome := make(chan error, 1)
	go func() {
		_, err := e.Swap(context.Background(), key(1), 0, value("x"))
		outcome <- err
	}()
	eventually(t, "the request is sent", func() bool { return e.link.conn().Stats().OutMsgs > sent })
	p.cut() // first, as the answer could come else
	p.set(func() { p.deaf = false })
	if err := <-outcome; !errors.Is(err, errLost) || errors.Is(err, engines.ErrRefused) {
		t.Errorf("it ends with %v", err)
	}
	if p, rev, err := e.Load(bounded(t), key(1)); err == nil && (string(p) != "x" || rev == 0) {
		t.Errorf("%q, %d", p, rev)
	}
}

// A connection carries requests once those that wait for answers of the one before have been
// told, and not sooner: they would be taken for these.
func TestRequestsOverAConnectionThatHasJustBegun(t *testing.T) {
	_, far, p := behind(t)
	cut, goOn := make(chan struct{}), make(chan struct{})
	far.link.listen(func() {}, func(*nats.Conn) {}, sync.OnceFunc(func() { // holds up the client's callbacks
		close(cut)
		<-goOn
	}))
	p.cut()
	receive(t, "the cut", cut)
	eventually(t, "there is another connection", far.link.conn().IsConnected)
	ask := func() error {
		_, err := far.link.attempt(bounded(t), &nats.Msg{Subject: "$JS.API.INFO"}, patience)
		return err
	}
	for range 3 {
		if err := ask(); !errors.Is(err, errAway) {
			t.Errorf("it ends with %v", err)
		}
	}
	close(goOn)
	eventually(t, "it is answered", func() bool { return ask() == nil })
}
