package blackbox

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// manyMessages is how many rooms there are, and how many messages each keeps.
func manyMessages(t *testing.T) (rooms, each int) {
	t.Helper()
	text := os.Getenv("CADDYWS_MESSAGES")
	if text == "" {
		return 10, 100
	}
	each, err := strconv.Atoi(text)
	if err != nil || each < resumed {
		t.Fatalf("CADDYWS_MESSAGES: %q is not a number from %d on", text, resumed)
	}
	return 1000, each
}

// resumed is how many messages a client has missed that comes back.
const resumed = 50

// Clients come back to any of many rooms with many messages, of a server that was started anew:
// over WebSocket, having missed the newest fifty, and by GET at any point. They get what they have
// missed. How long that takes, and what memory the processes need, is logged. With
// CADDYWS_MESSAGES=1000 in the environment there are a thousand rooms with a thousand messages each.
func TestResumeInManyRooms(t *testing.T) {
	rooms, each := manyMessages(t)
	for name, engine := range map[string]func() (string, *natsServer){
		"bolt": func() (string, *natsServer) { return "bolt", nil },
		"nats": func() (string, *natsServer) {
			n := startNATS(t, 1)[0]
			return "nats nats://" + n.address(), n
		},
	} {
		t.Run(name, func(t *testing.T) {
			line, stored := engine()
			s := start(t, strings.Replace(historyConfig, "drain off", "drain off\nengine "+line, 1))
			l := &library{server: s, stored: stored, each: each, epochs: make([]string, rooms)}
			l.opensHistory(t)
			l.log(t, "before")
			l.fill(t)
			l.log(t, "after they were written")
			s.stop()
			s.again(t)
			l.opensHistory(t)
			l.log(t, "after the start")
			l.measure(t, "WebSocket, 50 behind the newest", l.resume)
			l.measure(t, "GET, 50 behind any point", l.look)
			l.log(t, "after all this")
		})
	}
}

// library is rooms with many messages, the numbers from 1 on.
type library struct {
	*server
	stored *natsServer // nil: its rooms are in a file
	each   int         // messages in each room
	epochs []string    // of the rooms
}

func (l *library) path(room int) string { return fmt.Sprint("/long/", room) }

// log tells how much memory the processes have.
func (l *library) log(t *testing.T, when string) {
	t.Helper()
	t.Logf("%s: %d MiB in Caddy, %d at most", when, l.memory(t)>>10, l.peak(t)>>10)
	if l.stored != nil {
		t.Logf("%s: %d MiB in the server of NATS", when, (&server{process: l.stored.process}).memory(t)>>10)
	} else if info, err := os.Stat(l.rooms()); err == nil {
		t.Logf("%s: %d MiB in the file", when, info.Size()>>20)
	}
}

// fill writes all messages.
func (l *library) fill(t *testing.T) {
	t.Helper()
	const writers = 64
	began := time.Now()
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			for room := w; room < len(l.epochs) && !t.Failed(); room += writers {
				if err := l.write(room); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	n := len(l.epochs) * l.each
	t.Logf("%d messages in %d rooms were written in %v: %.0f a second", n, len(l.epochs), time.Since(began).Round(time.Millisecond), float64(n)/time.Since(began).Seconds())
}

// write writes the messages of a room, and notes its epoch.
func (l *library) write(room int) error {
	c, err := l.enter(l.path(room))
	if err != nil {
		return err
	}
	defer c.Close()
	go func() {
		for i := range l.each {
			text := fmt.Sprintf(`{"data":"%d %s"}`, i+1, strings.Repeat("x", 90))
			if c.WriteMessage(websocket.TextMessage, []byte(text)) != nil {
				return // the reader is told
			}
		}
	}()
	l.epochs[room], err = readNumbers(c, 0, l.each)
	return err
}

// enter connects to a room.
func (l *library) enter(path string) (*websocket.Conn, error) {
	d := &websocket.Dialer{Subprotocols: []string{"json"}, HandshakeTimeout: patience}
	c, _, err := d.Dial("ws://"+l.address()+path, nil)
	if err == nil {
		err = c.SetReadDeadline(time.Now().Add(10 * patience))
	}
	return c, err
}

// readNumbers reads the messages behind one up to another, and returns the room's epoch.
func readNumbers(c *websocket.Conn, after, last int) (epoch string, err error) {
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			return "", err
		}
		var m kept
		if err := json.Unmarshal(p, &m); err != nil {
			return "", err
		}
		if m.Type == "state" && m.Version == uint64(after) {
			continue
		}
		if after++; !m.is(after) {
			return "", fmt.Errorf("%s in place of message %d", p, after)
		}
		if after == last {
			return m.Epoch, nil
		}
	}
}

// is reports whether this is the message of a number.
func (m kept) is(n int) bool {
	return m.Version == uint64(n) && m.Data != nil && strings.HasPrefix(*m.Data, fmt.Sprint(n, " "))
}

// measure has clients come back one after another, and logs how long each has taken.
func (l *library) measure(t *testing.T, what string, comeBack func(room int) error) {
	t.Helper()
	var took []time.Duration
	for range 2 * len(l.epochs) {
		room, began := rand.IntN(len(l.epochs)), time.Now()
		if err := comeBack(room); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("%s: half within %v, 99 of 100 within %v, all within %v", what, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}

// resume comes back over a WebSocket.
func (l *library) resume(room int) error {
	after := l.each - resumed
	c, err := l.enter(fmt.Sprintf("%s?after=%s-%d", l.path(room), l.epochs[room], after))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = readNumbers(c, after, l.each)
	return err
}

// look asks for what comes behind any point.
func (l *library) look(room int) error {
	after := rand.IntN(l.each - resumed + 1)
	request, err := http.NewRequest(http.MethodGet, l.url(fmt.Sprintf("%s?after=%s-%d&limit=%d", l.path(room), l.epochs[room], after, resumed)), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	response, err := plain.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var h keptHistory
	if err := json.NewDecoder(response.Body).Decode(&h); err != nil {
		return err
	}
	if h.Gap || len(h.Messages) != resumed {
		return fmt.Errorf("behind %d of %s: %d messages, a gap: %t", after, l.path(room), len(h.Messages), h.Gap)
	}
	for i, m := range h.Messages {
		if !m.is(after + i + 1) {
			return fmt.Errorf("behind %d of %s: message %d is %+v", after, l.path(room), i, m)
		}
	}
	return nil
}
