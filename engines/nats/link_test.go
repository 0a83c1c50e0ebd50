package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

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

// What is too large for the server is not tried again.
func TestWhatIsTooLargeIsRefusedAtOnce(t *testing.T) {
	s := startServer(t, serverOptions(t))
	e := openEngine(t, &Opener{URLs: []string{s.ClientURL()}, Bucket: newBucket()})
	ctx := bounded(t)
	_, err := e.bucket.put(ctx, e.bucket.rooms+"a.b", 0, nats.Header{}, make([]byte, e.link.conn.MaxPayload()))
	if !errors.Is(err, engines.ErrRefused) || !errors.Is(err, nats.ErrMaxPayload) || ctx.Err() != nil {
		t.Error(err)
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
