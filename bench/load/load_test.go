package load

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// serve starts a server that calls handle for each message, numbered from 0,
// and returns its address.
func serve(t *testing.T, handle func(c *websocket.Conn, i int, text []byte)) string {
	t.Helper()
	upgrader := websocket.Upgrader{Subprotocols: []string{"json"}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for i := 0; ; i++ {
			_, text, err := c.ReadMessage()
			if err != nil {
				return
			}
			handle(c, i, text)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// send writes a text. Who has found a lie reads no more.
func send(c *websocket.Conn, text string) {
	_ = c.WriteMessage(websocket.TextMessage, []byte(text)) // see above
}

// A server that lies is found out, whatever the work.
func TestGeneratorFindsLies(t *testing.T) {
	echoWork := func(g *Generator) error { return g.Echo(1, 32, 1, "/", false) }
	broadcastWork := func(g *Generator) error { return g.Broadcast(1, 4, 0, "/") }
	sumWork := func(g *Generator) error { return g.Sum(Sum{Path: "/", Clients: 1, Senders: 1, Window: 4}) }
	meterWork := func(g *Generator) error { return g.Meter(Meter{Path: "/", Sensors: 1, Screens: 1, Rate: 100}) }
	idWork := func(g *Generator) error {
		return g.Sum(Sum{Path: "/", Clients: 1, Senders: 1, Window: 4, IDs: true})
	}
	four := fmt.Appendf(nil, "%016d ", 4) // behind any number of greetings
	reply := func(total int) string { return fmt.Sprintf(`{"type":"reply","version":1,"total":%d}`, total) }
	for name, test := range map[string]struct {
		work   func(*Generator) error
		handle func(c *websocket.Conn, i int, text []byte)
		want   string
	}{
		"echo of somebody else's": {echoWork, func(c *websocket.Conn, i int, text []byte) {
			if i == 5 {
				text = bytes.Replace(text, []byte("00000000"), []byte("00000001"), 1)
			}
			send(c, string(text))
		}, "echo of"},
		"echo twice": {echoWork, func(c *websocket.Conn, i int, text []byte) {
			if i == 5 {
				frame := append([]byte{0x81, byte(len(text))}, text...)
				_, _ = c.NetConn().Write(append(frame, frame...)) // at once, so that both are read
				return
			}
			send(c, string(text))
		}, "came again"},
		"broadcast lost": {broadcastWork, func(c *websocket.Conn, _ int, text []byte) {
			if !bytes.HasPrefix(text, four) {
				send(c, string(text))
			}
		}, "message 4 came as"},
		"broadcast twice": {broadcastWork, func(c *websocket.Conn, _ int, text []byte) {
			send(c, string(text))
			if bytes.HasPrefix(text, four) {
				send(c, string(text))
			}
		}, "message 5 came as"},
		"total twice": {sumWork, func(c *websocket.Conn, i int, _ []byte) {
			if i >= 5 {
				i--
			}
			send(c, reply(i+1))
		}, "replied before"},
		"total falls": {sumWork, func(c *websocket.Conn, i int, _ []byte) {
			if i == 5 {
				i = 2
			}
			send(c, reply(i+1))
		}, "came after"},
		"total too high": {sumWork, func(c *websocket.Conn, i int, _ []byte) {
			if i >= 5 {
				i++
			}
			send(c, reply(i+1))
		}, "increments"},
		"reading that was not sent": {meterWork, func(c *websocket.Conn, i int, text []byte) {
			send(c, "200.1")
			if i == 5 {
				send(c, "200.1")
				send(c, "200.1")
			}
		}, "replies to nothing"},
		"reading that is replied with another": {meterWork, func(c *websocket.Conn, _ int, _ []byte) { send(c, "200.2") }, "a sensor was told"},
		"reply to another id": {idWork, func(c *websocket.Conn, i int, _ []byte) {
			id := i + 1
			if i == 5 {
				id++
			}
			send(c, fmt.Sprintf(`{"type":"reply","version":1,"total":%d,"id":"client-0:%d"}`, i+1, id))
		}, "reply without"},
		"repeat": {idWork, func(c *websocket.Conn, i int, _ []byte) {
			send(c, fmt.Sprintf(`{"type":"reply","version":1,"total":%d,"id":"client-0:%d","repeat":true}`, i+1, i+1))
		}, "reply to a repeat"},
		"error": {sumWork, func(c *websocket.Conn, _ int, _ []byte) {
			send(c, `{"type":"error","error":"busy"}`)
		}, `no "total"`},
		"end": {echoWork, func(c *websocket.Conn, _ int, _ []byte) { c.Close() }, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t, serve(t, test.handle), test.work)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

func run(t *testing.T, addr string, work func(*Generator) error) error {
	t.Helper()
	g, err := New(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := work(g); err != nil {
		t.Fatal(err)
	}
	_, err = g.Run(100, 5*time.Second)
	return err
}

// What is in flight at the end of a phase belongs to it.
func TestPhaseEndsWithNothingInFlight(t *testing.T) {
	addr := serve(t, func(c *websocket.Conn, _ int, text []byte) { send(c, string(text)) })
	g, err := New(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Echo(3, 32, 4, "/", false); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p, err := g.Run(50, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if p.Count < 50 || p.Count%4 != 0 {
			t.Errorf("counted %d messages, want at least 50 in whole windows of 4", p.Count)
		}
		if g.work.(*echo).flying != 0 {
			t.Errorf("%d in flight", g.work.(*echo).flying)
		}
	}
	if p, err := g.Run(math.MaxInt, 0); err != nil || p.Count != 0 {
		t.Errorf("a phase of no time: %+v, %v", p, err)
	}
}

// Frames are cut at every boundary and wherever a read ends.
func TestCutFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536} {
		payload := bytes.Repeat([]byte{'x'}, n)
		masked := appendMasked(nil, opText, payload)
		header := len(masked) - n - 4
		frame := append(append([]byte(nil), masked[:header]...), payload...)
		frame[1] &= 0x7f
		for _, have := range []int{0, 1, 2, header, len(frame) - 1} {
			if have >= len(frame) {
				continue
			}
			if _, _, size, err := cutFrame(frame[:have]); size != 0 || err != nil {
				t.Errorf("%d of %d bytes are a frame of %d, %v", have, len(frame), size, err)
			}
		}
		opcode, got, size, err := cutFrame(append(frame, 0x81))
		if err != nil || opcode != opText || size != len(frame) || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: opcode %d, size %d of %d, %v", n, opcode, size, len(frame), err)
		}
	}
	if _, _, _, err := cutFrame([]byte{0x01, 0}); err == nil {
		t.Error("a fragment is taken")
	}
}

// What screens are told is judged: no reading is lost, none is counted twice.
func TestScreensFindLies(t *testing.T) {
	for name, test := range map[string]struct {
		counts []uint64
		want   string
	}{
		"falls":    {[]uint64{3, 2}, "2 readings were counted after 3"},
		"too high": {[]uint64{4, 11}, "11 readings were counted of 10"},
		"right":    {[]uint64{0, 4, 4, 9, 10}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := &meter{g: &Generator{latency: newLatency()}, counted: []byte(`"count":`), sent: 10}
			m.rounds = []sendRound{{upTo: 5}, {upTo: 8}, {upTo: 10}}
			s, got := new(screen), ""
			for _, n := range test.counts {
				if err := m.watch(s, fmt.Appendf(nil, `{"type":"update","count":%d,"sum":5}`, n)); err != nil {
					got = err.Error()
				}
			}
			if got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
			if seen := m.g.latency.TotalCount(); test.want == "" && seen != 10 {
				t.Errorf("%d readings were seen", seen)
			}
		})
	}
}
