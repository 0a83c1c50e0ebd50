package peers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// MaxKeys is how many sources of readings there may be.
const MaxKeys = 1000

// pace is how often the others are told of readings.
const pace = 250 * time.Millisecond

// gorillaMeter folds readings as one does by hand: a mutex around the folds, another
// around each connection's writes, floating point, encoding/json, and a ticker that tells
// everybody.
type gorillaMeter struct {
	mu      sync.Mutex
	folds   folds                 // guarded by mu
	changed bool                  // guarded by mu
	clients map[*powerClient]bool // guarded by mu
}

// folds are what clients are shown.
type folds struct {
	Type  string             `json:"type"`
	Count uint64             `json:"count"`
	Sum   float64            `json:"sum"`
	Min   float64            `json:"min"`
	Max   float64            `json:"max"`
	Mean  float64            `json:"mean"`
	Last  float64            `json:"last"`
	Keys  map[string]float64 `json:"keys"`
}

// powerClient is a sensor or a screen.
type powerClient struct {
	writing sync.Mutex
	conn    *websocket.Conn
}

func (c *powerClient) write(message *websocket.PreparedMessage) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeWait)) // as in the example
	return c.conn.WritePreparedMessage(message)
}

func newGorillaMeter() *gorillaMeter {
	m := &gorillaMeter{clients: make(map[*powerClient]bool)}
	m.folds.Type, m.folds.Keys = "update", make(map[string]float64)
	go m.tell()
	return m
}

func (m *gorillaMeter) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := gorillaUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }() // the last word
	c := &powerClient{conn: conn}
	m.mu.Lock()
	m.clients[c], m.changed = true, true
	m.mu.Unlock()
	defer m.forget(c)
	for {
		var reading struct {
			Key   string
			Value float64
		}
		if err := conn.ReadJSON(&reading); err != nil {
			return
		}
		m.add(reading.Key, reading.Value)
		reply := newOutgoing(strconv.AppendFloat(nil, reading.Value, 'f', -1, 64), true)
		if err := c.write(reply.prepared); err != nil {
			return
		}
	}
}

func (m *gorillaMeter) forget(c *powerClient) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.clients, c)
}

func (m *gorillaMeter) add(key string, value float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &m.folds
	if f.Count == 0 {
		f.Min, f.Max = value, value
	}
	f.Count++
	f.Sum += value
	f.Min, f.Max, f.Last = min(f.Min, value), max(f.Max, value), value
	f.Mean = f.Sum / float64(f.Count)
	f.Keys[key] = value
	m.changed = true
}

// tell tells everybody the folds as long as they change: screens as JSON, sensors as a
// line of text.
func (m *gorillaMeter) tell() {
	for range time.Tick(pace) {
		m.mu.Lock()
		var clients []*powerClient
		for c := range m.clients {
			clients = append(clients, c)
		}
		f, changed := m.folds, m.changed
		object, err := json.Marshal(f)
		m.changed = false
		m.mu.Unlock()
		if err != nil || !changed {
			continue
		}
		line := fmt.Sprintf("count %d sum %v min %v max %v mean %v last %v", f.Count, f.Sum, f.Min, f.Max, f.Mean, f.Last)
		screens, sensors := newOutgoing(object, true), newOutgoing([]byte(line), true)
		for _, c := range clients {
			message := sensors.prepared
			if c.conn.Subprotocol() == "json" {
				message = screens.prepared
			}
			_ = c.write(message) // its reader notices
		}
	}
}
