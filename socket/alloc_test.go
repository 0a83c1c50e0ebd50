package socket

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
)

// asker is a client that allocates nothing.
type asker struct {
	client   net.Conn
	question [][]byte // so many writes
	answer   []byte
}

func (a *asker) ask(t testing.TB) {
	for _, p := range a.question {
		if _, err := a.client.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadFull(a.client, a.answer); err != nil {
		t.Fatal(err)
	}
}

// In steady state a message costs no memory, which also says that every buffer
// is given back.
func TestConnAllocatesNothingPerMessage(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets at random under the race detector; the ordinary run covers this")
	}
	long := strings.Repeat("x", 60_000)
	for _, test := range []struct {
		name     string
		question [][]byte
		answer   []byte
	}{
		{"text", [][]byte{clientText("hello")}, serverText("hello")},
		{"ping", [][]byte{clientFrame(true, frames.Ping, "p")}, frames.AppendMessage(nil, frames.Pong, []byte("p"))},
		{"longer than a read", [][]byte{clientText(long)}, serverText(long)},
		{"in pieces", [][]byte{clientText("hello")[:3], clientText("hello")[3:]}, serverText("hello")},
		{"fragments", [][]byte{append(clientFrame(false, frames.Text, "a"), clientFrame(true, frames.Continuation, "b")...)}, serverText("ab")},
		{"many at once", [][]byte{[]byte(strings.Repeat(string(clientText("a")), 100))}, []byte(strings.Repeat(string(serverText("a")), 100))},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := tcpPair(t)
			s := newSession(t, server, client)
			s.start()
			a := &asker{client, test.question, make([]byte, len(test.answer))}
			ask := func() { a.ask(t) }
			for range 100 {
				ask()
			}
			if n := testing.AllocsPerRun(1000, ask); n != 0 {
				t.Errorf("%v allocations for an answer", n)
			}
			if string(a.answer) != string(test.answer) {
				t.Errorf("answered %.100q", a.answer)
			}
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	server, client := tcpPair(b)
	s := newSession(b, server, client)
	s.start()
	a := &asker{client, [][]byte{clientText("hello")}, make([]byte, len(serverText("hello")))}
	b.ReportAllocs()
	for b.Loop() {
		a.ask(b)
	}
}
