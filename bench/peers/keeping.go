package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// keeper is where a server keeps the messages of its rooms. The newest are kept, Kept of
// them or somewhat more.
type keeper interface {
	// keep stores a message of a room and returns its version, once it is on disk. It has
	// told of the rooms called with it, or leaves that to somebody else.
	keep(room string, m keptMessage) (version uint64, err error)

	// behind returns the messages of a room behind a version, in their order.
	behind(room string, version uint64) ([]keptMessage, error)

	// last returns the version of the newest message of a room.
	last(room string) (uint64, error)
}

// keptMessage is a message as it is stored and as members are told it.
type keptMessage struct {
	Type    string    `json:"type"`
	Epoch   string    `json:"epoch"`
	Version uint64    `json:"version"`
	From    sender    `json:"from"`
	Time    time.Time `json:"time"`
	Data    string    `json:"data"`
}

type sender struct {
	ID string `json:"id"`
}

const keptEpoch = "PIKT3TV2"

// keptRooms is a server on gorilla that keeps the messages of each path in a database. The
// goroutine that reads from a client stores a message, waits, and replies. Members have the
// channels and writing goroutines of gorilla's chat example; the server waits for slow ones.
type keptRooms struct {
	keeper keeper
	names  atomic.Uint64

	mu    sync.Mutex
	rooms map[string]*keptRoom
}

func newKeptRooms() *keptRooms { return &keptRooms{rooms: make(map[string]*keptRoom)} }

type keptRoom struct {
	storing sync.Mutex // where messages are told by whoever stores them: held for both

	mu      sync.Mutex
	members map[*keptMember]bool
}

// keptMember is a client in a room.
type keptMember struct {
	*gorillaClient
	id   string
	told uint64 // the version up to which it was told everything
}

func (s *keptRooms) room(name string) *keptRoom {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = &keptRoom{members: make(map[*keptMember]bool)}
		s.rooms[name] = r
	}
	return r
}

// told tells the members of a room a message. It is called in the order of the versions.
func (s *keptRooms) told(room string, m keptMessage) {
	r, text := s.room(room), newOutgoing(m.encode(), true)
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.members {
		if c.told < m.Version {
			c.told = m.Version
			c.send <- text
		}
	}
}

func (m keptMessage) encode() []byte {
	p, err := json.Marshal(m)
	if err != nil {
		panic(err) // it always can be
	}
	return p
}

// replay is how many messages a client is sent that names no point.
const replay = 50

// enter sends a client what it has missed and makes it a member.
func (s *keptRooms) enter(room string, c *keptMember, after string) error {
	r := s.room(room)
	r.mu.Lock()
	defer r.mu.Unlock()
	last, err := s.keeper.last(room)
	if err != nil {
		return err
	}
	begin := last - min(last, replay)
	if version, found := strings.CutPrefix(after, keptEpoch+"-"); found {
		if begin, err = strconv.ParseUint(version, 10, 64); err != nil {
			return err
		}
	}
	missed, err := s.keeper.behind(room, begin)
	if err != nil {
		return err
	}
	c.told = last
	c.sendMissed(begin, missed)
	r.members[c] = true
	return nil
}

// sendMissed sends where the room stands, and the messages behind that.
func (c *keptMember) sendMissed(begin uint64, missed []keptMessage) {
	if len(missed) > 0 && missed[0].Version > begin+1 {
		c.send <- newOutgoing(fmt.Appendf(nil, `{"type":"gap","epoch":%q,"oldest":%d}`, keptEpoch, missed[0].Version), false)
		begin = missed[0].Version - 1
	}
	c.send <- newOutgoing(fmt.Appendf(nil, `{"type":"state","epoch":%q,"version":%d}`, keptEpoch, begin), false)
	for _, m := range missed {
		c.told = m.Version
		c.send <- newOutgoing(m.encode(), false)
	}
}

func (s *keptRooms) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	conn, err := chatUpgrader.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	c := &keptMember{gorillaClient: &gorillaClient{conn: conn, send: make(chan outgoing, sendBuffer)}}
	c.id = strconv.FormatUint(s.names.Add(1), 10)
	go c.writePump()
	name := req.URL.Path
	defer s.leave(name, c)
	if s.enter(name, c, req.URL.Query().Get("after")) != nil {
		return
	}
	conn.SetReadLimit(maxMessageSize)
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if s.receive(name, c, text) != nil {
			return
		}
	}
}

func (s *keptRooms) leave(room string, c *keptMember) {
	r := s.room(room)
	r.mu.Lock()
	delete(r.members, c)
	r.mu.Unlock()
	close(c.send)
	_ = c.conn.Close() // the last word
}

var errNotMessage = errors.New("not a message")

// receive stores a message.
func (s *keptRooms) receive(room string, c *keptMember, text []byte) error {
	var said struct {
		ID   json.RawMessage `json:"id"`
		Data *string         `json:"data"`
	}
	if err := json.Unmarshal(text, &said); err != nil || said.Data == nil {
		return errNotMessage
	}
	version, err := s.keeper.keep(room, keptMessage{
		Type: "message", Epoch: keptEpoch, From: sender{c.id}, Time: time.Now().UTC().Truncate(time.Millisecond), Data: *said.Data,
	})
	if err != nil {
		return err
	}
	c.send <- newOutgoing(fmt.Appendf(nil, `{"type":"reply","epoch":%q,"version":%d,"id":%s}`, keptEpoch, version, said.ID), false)
	return nil
}
