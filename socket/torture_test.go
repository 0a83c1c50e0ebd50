package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/message"
)

// The torture: clients that say a lot and read nothing, break off in the middle
// of a message, say it a byte at a time, vanish without a word, or behave, each
// connection taking the descriptor of one just closed. Half of them are served
// by loops and half by goroutines. No message may reach a connection that it is
// not for, and in the end no descriptor and no goroutine may be left.
func TestTorture(t *testing.T) {
	before := descriptors(t)
	s := newTortureServer(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const clients = 24
	rounds := 60
	if raceEnabled || testing.Short() {
		rounds = 15
	}
	var crowd sync.WaitGroup
	for i := range clients {
		crowd.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for round := range rounds {
				if err := s.torment(random, fmt.Sprintf("%d/%d ", i, round)); err != nil {
					t.Errorf("client %d, round %d: %v", i, round, err)
					return
				}
			}
		})
	}
	crowd.Wait()
	s.end()
	if served := s.served.Load(); served != clients*uint64(rounds) && !t.Failed() {
		t.Errorf("%d connections were served", served)
	}
	within(t, "all descriptors to be closed", func() bool { return descriptors(t) <= before+2*runtime.GOMAXPROCS(0) }) // loops keep theirs
}

// within waits for what nothing announces.
func within(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// descriptors counts what this process has open; 0 where that cannot be known.
func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(entries)
}

// tortureServer echoes and checks that each connection hears only its own client.
type tortureServer struct {
	t        *testing.T
	listener net.Listener
	settings atomic.Pointer[Settings]
	open     sync.WaitGroup
	accepts  sync.WaitGroup
	served   atomic.Uint64
}

func newTortureServer(t *testing.T) *tortureServer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &tortureServer{t: t, listener: listener}
	s.settings.Store(&Settings{
		MaxMessageSize: 1 << 20, MaxQueue: 1 << 18,
		PingInterval: 50 * time.Millisecond, PingTimeout: time.Minute, WriteTimeout: patience,
	})
	s.accepts.Go(s.accept)
	return s
}

func (s *tortureServer) accept() {
	for n := 0; ; n++ {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.open.Add(1)
		v := &victim{server: s}
		v.Conn = New(&s.settings, message.Text, v)
		if n%2 == 0 {
			v.Start(Transport{Conn: conn})
		} else {
			s.accepts.Go(func() { v.Serve(Transport{Conn: conn}) })
		}
	}
}

func (s *tortureServer) end() {
	s.listener.Close()
	s.accepts.Wait()
	s.open.Wait()
}

// victim is one connection, at the server's end.
type victim struct {
	*Conn
	server *tortureServer
	tag    string
}

func (v *victim) Message(data []byte, binary bool) {
	tag, _, found := bytes.Cut(data, []byte(" "))
	switch {
	case !found:
		v.server.t.Errorf("%.40q has no tag", data)
	case v.tag == "":
		v.tag = string(tag)
	case v.tag != string(tag):
		v.server.t.Errorf("the connection of %s was sent %.40q", v.tag, data)
	}
	v.Send(data, binary)
}

func (v *victim) Flush() {}

func (v *victim) HungUp() {}

func (v *victim) CaughtUp() {}

func (v *victim) Excused() int { return 0 }

func (v *victim) Expires() time.Time { return time.Time{} }

func (v *victim) Closed(End) {
	v.server.served.Add(1)
	v.server.open.Done()
}

// torment lives the life of one client.
func (s *tortureServer) torment(random *rand.Rand, tag string) error {
	conn, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	switch random.IntN(6) {
	case 0:
		_, _ = conn.Write(clientText(tag + "half")[:1+random.IntN(8)]) // what comes of it is the server's affair
		return nil
	case 1:
		return vanish(conn, random, tag)
	case 2:
		return converse(slowly{conn}, random, tag, 2, 30)
	case 3:
		return converse(conn, random, tag, 5, 100_000)
	}
	return converse(conn, random, tag, 1+random.IntN(20), 300)
}

// vanish says a lot, reads nothing, and is reset.
func vanish(conn net.Conn, random *rand.Rand, tag string) error {
	message := clientText(tag + string(bytes.Repeat([]byte("x"), 1+random.IntN(50_000))))
	if err := conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		return err
	}
	for range random.IntN(40) {
		if _, err := conn.Write(message); err != nil {
			break // it is full: good
		}
	}
	return conn.(*net.TCPConn).SetLinger(0)
}

// slowly writes a byte at a time.
type slowly struct{ net.Conn }

func (c slowly) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// converse sends messages, checks what comes back, and closes as it should.
func converse(conn net.Conn, random *rand.Rand, tag string, messages, size int) error {
	said := make([]string, messages)
	for i := range said {
		said[i] = tag + fmt.Sprint(i) + string(bytes.Repeat([]byte("y"), random.IntN(size)))
		if _, err := conn.Write(clientText(said[i])); err != nil {
			return err
		}
	}
	reader := &frameReader{conn: conn}
	for _, want := range said {
		got, err := reader.text()
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("heard %.40q, not %.40q", got, want)
		}
	}
	if _, err := conn.Write(clientFrame(true, frames.Close, "\x03\xe8")); err != nil {
		return err
	}
	_, err := reader.text()
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("after the close frame: %w", err)
	}
	return nil
}

// frameReader reads what a server sends.
type frameReader struct {
	conn net.Conn
	got  []byte
}

// text returns the next text. A close frame is io.EOF.
func (r *frameReader) text() (string, error) {
	for {
		h, n, err := frames.ParseHeader(r.got)
		if err != nil {
			return "", err
		}
		if n == 0 || len(r.got)-n < int(h.Length) {
			if err := r.more(); err != nil {
				return "", err
			}
			continue
		}
		payload := string(r.got[n : n+int(h.Length)])
		r.got = r.got[n+int(h.Length):]
		switch h.Opcode {
		case frames.Text:
			return payload, nil
		case frames.Close:
			return "", io.EOF
		}
	}
}

func (r *frameReader) more() error {
	p := make([]byte, 64<<10)
	n, err := r.conn.Read(p)
	r.got = append(r.got, p[:n]...)
	if n > 0 {
		return nil
	}
	return err
}
