package socket

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// patience bounds every wait of a test: only a failing one comes so far.
const patience = 30 * time.Second

// testLinks are the ways of a connection to its client. Both links are among
// them; the rules of a Conn are the same over each.
var testLinks = []struct {
	name string
	pair func(t testing.TB) (server, client net.Conn)
}{
	{"tcp", tcpPair},
	{"stream", func(t testing.TB) (net.Conn, net.Conn) {
		server, client := tcpPair(t)
		return struct{ net.Conn }{server}, client
	}},
	{"tls", tlsPair},
	{"loop", func(t testing.TB) (net.Conn, net.Conn) {
		server, client := tcpPair(t)
		return onLoop{server}, client
	}},
	{"loop tls", func(t testing.TB) (net.Conn, net.Conn) {
		server, client := tlsPair(t)
		return onLoop{server}, client
	}},
}

// onLoop is a connection that Start is to serve, by a loop where there are some.
type onLoop struct{ net.Conn }

// overLinks runs a test over each link.
func overLinks(t *testing.T, test func(t *testing.T, s *session)) {
	for _, l := range testLinks {
		t.Run(l.name, func(t *testing.T) {
			server, client := l.pair(t)
			test(t, newSession(t, server, client))
		})
	}
}

func tcpPair(t testing.TB) (server, client net.Conn) { return dialedPair(t, new(net.Dialer)) }

func dialedPair(t testing.TB, d *net.Dialer) (server, client net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = d.DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

func tlsPair(t testing.TB) (server, client net.Conn) {
	server, client = tcpPair(t)
	return secured(t, server, client)
}

// secured puts TLS on a connection.
func secured(t testing.TB, server, client net.Conn) (net.Conn, net.Conn) {
	s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{testCertificate()}})
	c := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	failed := make(chan error, 1)
	go func() { failed <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return s, c
}

var testCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// session is a Conn with its handler, and its client. It echoes unless message
// says otherwise.
type session struct {
	*Conn
	t       testing.TB
	message func(data []byte, binary bool)
	flush   func()
	ended   chan End // what Closed was called with
	closed  atomic.Int32

	caughtUps atomic.Int32 // how often CaughtUp was called
	excuse    atomic.Int32 // what Excused says
	expires   time.Time    // what Expires says

	looped net.Conn      // to be served by Start
	over   chan struct{} // closed by Closed, then

	link link // to be served by a goroutine, if looped is nil

	client net.Conn
	reader *bufio.Reader

	deflate frames.Deflate // what was agreed on
	window  *frames.Window // the client's, for what comes compressed
}

func testSettings() *Settings {
	return &Settings{MaxMessageSize: 1 << 20, MaxQueue: 1 << 20}
}

func newSession(t testing.TB, server, client net.Conn) *session {
	s := &session{t: t, ended: make(chan End, 10), client: client, reader: bufio.NewReader(client)}
	var settings atomic.Pointer[Settings]
	settings.Store(testSettings())
	s.Conn = New(&settings, message.Text, s)
	if l, ok := server.(onLoop); ok {
		s.looped = l.Conn
	} else {
		s.link = newLink(server)
	}
	s.message, s.flush = s.Send, func() {}
	return s
}

func (s *session) Message(data []byte, binary bool) { s.message(data, binary) }
func (s *session) Flush()                           { s.flush() }
func (s *session) HungUp()                          {}
func (s *session) CaughtUp()                        { s.caughtUps.Add(1) }
func (s *session) Excused() int                     { return int(s.excuse.Load()) }
func (s *session) Expires() time.Time               { return s.expires }
func (s *session) Closed(e End) {
	if s.closed.Add(1); s.looped != nil {
		close(s.over)
	}
	s.ended <- e
}

// start serves until the test's end.
func (s *session) start(buffered ...byte) {
	served := make(chan struct{})
	if s.looped != nil {
		s.over = served
		s.Conn.Start(Transport{Conn: s.looped, Buffered: buffered, Deflate: s.deflate})
	} else {
		d := &goroutineDriver{link: s.link, conn: s.Conn}
		s.Conn.start(d, s.deflate)
		go func() {
			defer close(served)
			d.run(buffered)
		}()
	}
	s.t.Cleanup(func() {
		s.client.Close()
		s.receive("Serve to return", served)
		if n := s.closed.Load(); n != 1 {
			s.t.Errorf("Closed was called %d times", n)
		}
	})
}

// say has the client send.
func (s *session) say(p ...[]byte) {
	s.t.Helper()
	if _, err := s.client.Write(bytes.Join(p, nil)); err != nil {
		s.t.Fatalf("client: %v", err)
	}
}

// hear returns the next frame that the client receives.
func (s *session) hear() (op frames.Opcode, payload string) {
	s.t.Helper()
	op, payload, err := s.next()
	if err != nil {
		s.t.Fatalf("client: %v", err)
	}
	return op, payload
}

func (s *session) next() (op frames.Opcode, payload string, err error) {
	for n := 2; ; n++ {
		p, err := s.reader.Peek(n)
		if err != nil {
			return 0, "", err
		}
		h, n, err := frames.ParseHeader(p)
		if err != nil {
			return 0, "", err
		}
		if n > 0 {
			s.reader.Discard(n)
			body := make([]byte, h.Length)
			_, err := io.ReadFull(s.reader, body)
			if err == nil && h.RSV != 0 {
				body, err = frames.AppendInflated(nil, body, 64<<20, s.window)
			}
			return h.Opcode, string(body), err
		}
	}
}

// expect has the client receive a frame.
func (s *session) expect(op frames.Opcode, payload string) {
	s.t.Helper()
	gotOp, got := s.hear()
	if gotOp != op || got != payload {
		s.t.Fatalf("client received %v %.100q of %d bytes, want %v %.100q of %d", gotOp, got, len(got), op, payload, len(payload))
	}
}

// expectClose has the client receive a close frame.
func (s *session) expectClose(code frames.CloseCode) {
	s.t.Helper()
	op, payload := s.hear()
	if got, _, _ := frames.ParseClose([]byte(payload)); op != frames.Close || got != code {
		s.t.Fatalf("client received %v %.100q with code %d, want close with %d", op, payload, got, code)
	}
}

// expectEOF has the client receive the orderly end of the connection.
func (s *session) expectEOF() {
	s.t.Helper()
	if op, payload, err := s.next(); err != io.EOF {
		s.t.Fatalf("client received %v %.100q, %v, want the end of the stream", op, payload, err)
	}
}

// expectHalfClose has the client receive the end of the stream, while it may
// itself send on; over a net.Conn of which only one half cannot be closed the
// client gets nothing to this effect.
func (s *session) expectHalfClose() {
	s.t.Helper()
	if l, ok := s.link.(*netConn); ok {
		if _, ok := l.conn.(interface{ CloseWrite() error }); !ok {
			return
		}
	}
	s.expectEOF()
}

// expectEnd waits until Closed was called.
func (s *session) expectEnd() End {
	s.t.Helper()
	select {
	case e := <-s.ended:
		return e
	case <-time.After(patience):
		s.t.Fatalf("waited in vain for the end\n%s", stacks())
		return End{}
	}
}

// receive waits for a signal.
func (s *session) receive(what string, signal <-chan struct{}) {
	s.t.Helper()
	select {
	case <-signal:
	case <-time.After(patience):
		s.t.Fatalf("waited in vain for %s\n%s", what, stacks())
	}
}

// until waits for a state of the Conn that nobody is told of.
func (s *session) until(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		s.mu.Lock()
		ok := is()
		s.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain until %s\n%s", what, stacks())
		}
	}
}

// change replaces the settings.
func (s *session) change(change func(*Settings)) {
	settings := *s.settings.Load()
	change(&settings)
	s.settings.Store(&settings)
}

func stacks() string {
	p := make([]byte, 1<<20)
	return string(p[:runtime.Stack(p, true)])
}

// serverText is a text message as the server encodes it.
func serverText(payload string) []byte {
	return frames.AppendMessage(nil, frames.Text, []byte(payload))
}

// closeFrame is a client's close frame.
func closeFrame(code frames.CloseCode, reason string) []byte {
	return clientFrame(true, frames.Close, string(frames.AppendClose(nil, code, reason)))
}

// fill has so much written that the socket cannot take it, and returns it: a
// frame that has begun to leave.
func (s *session) fill() (payload string) {
	payload = strings.Repeat("x", 16<<20)
	s.Write(published(payload))
	return payload
}

// frameHeader is the size of the header of a large frame of the server.
const frameHeader = frames.MaxHeaderSize - 4

// published is a batch of one message.
func published(text string) *message.Batch {
	return message.NewBatch(message.Message{Text: []byte(text)})
}
