package peers

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// totals is where a server keeps the totals of its rooms.
type totals interface {
	// add adds n to the total of a room and returns it, once it is on disk.
	add(room string, n int64) (int64, error)

	// tell is called with each total that was replied; whoever is to know calls
	// told of the rooms.
	tell(room string, total int64)
}

// storedRooms is a server on gorilla that keeps the total of each path in a database.
// The goroutine that reads from a client adds, waits and replies. The other clients of
// the room are told by one goroutine of the room: only the newest total, so that a busy
// room does not drown in what it tells.
type storedRooms struct {
	totals totals

	mu    sync.Mutex
	rooms map[string]*storedRoom
}

// storedHandler serves what servers in front of a database serve.
func storedHandler(totals *storedRooms, messages *keptRooms) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", totals)
	mux.Handle("/history/", messages)
	return mux
}

func newStoredRooms() *storedRooms { return &storedRooms{rooms: make(map[string]*storedRoom)} }

type storedRoom struct {
	newest  atomic.Int64
	changed signal

	mu      sync.Mutex
	clients map[*storedClient]bool
}

type storedClient struct {
	conn *websocket.Conn

	mu   sync.Mutex // held from a number until it is replied to: totals come in order
	told int64
}

// signal holds one token while there is something to do.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// raise makes n the newest total, unless a newer one is known.
func raise(newest *atomic.Int64, n int64) (raised bool) {
	for {
		old := newest.Load()
		if n <= old {
			return false
		}
		if newest.CompareAndSwap(old, n) {
			return true
		}
	}
}

// tellEvery is how often at most a room is told its total.
const tellEvery = 10 * time.Millisecond

func (s *storedRooms) room(name string) *storedRoom {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = &storedRoom{changed: newSignal(), clients: make(map[*storedClient]bool)}
		s.rooms[name] = r
		go r.run()
	}
	return r
}

// told has the clients of a room told its newest total.
func (s *storedRooms) told(room string, total int64) {
	if r := s.room(room); raise(&r.newest, total) {
		r.changed.set()
	}
}

func (r *storedRoom) run() {
	for range r.changed {
		if r.tellAll(r.newest.Load()) {
			r.changed.set() // some were busy
		}
		time.Sleep(tellEvery)
	}
}

func (r *storedRoom) tellAll(total int64) (again bool) {
	r.mu.Lock()
	clients := make([]*storedClient, 0, len(r.clients))
	for c := range r.clients {
		clients = append(clients, c)
	}
	r.mu.Unlock()
	for _, c := range clients {
		again = !c.update(total) || again
	}
	return again
}

// update tells c a total, unless it knows as much. It reports whether that was possible
// now.
func (c *storedClient) update(total int64) bool {
	if !c.mu.TryLock() {
		return false
	}
	defer c.mu.Unlock()
	if c.told < total {
		c.told = total
		c.write("update", total)
	}
	return true
}

func (c *storedClient) write(kind string, total int64) {
	const format = `{"type":%q,"epoch":"PIKT3TV2","version":%d,"total":%d}`
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeWait))                                       // as in the chat example
	_ = c.conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, format, kind, total, total)) // reading fails then, too
}

func (s *storedRooms) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	conn, err := chatUpgrader.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	name := req.URL.Path
	r, c := s.room(name), &storedClient{conn: conn}
	r.mu.Lock()
	r.clients[c] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.clients, c)
		r.mu.Unlock()
		_ = conn.Close() // the last word
	}()
	conn.SetReadLimit(maxMessageSize)
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := s.receive(name, c, text); err != nil {
			return
		}
	}
}

var errNotNumber = errors.New("not a number")

// receive adds a number.
func (s *storedRooms) receive(room string, c *storedClient, text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return errNotNumber
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	total, err := s.totals.add(room, n)
	if err != nil {
		return err
	}
	c.told = total
	c.write("reply", total)
	s.totals.tell(room, total)
	return nil
}
