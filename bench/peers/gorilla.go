package peers

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

func serveGorilla(addr string, secure *tls.Config) error {
	return serveHandler(addr, secure, gorillaHandler(false, false))
}

func serveGorillaPrepared(addr string, secure *tls.Config) error {
	return serveHandler(addr, secure, gorillaHandler(true, false))
}

// gorillaHandler is gorilla's echo example, its chat example, and a sum in the
// shape of the latter. With stay the chat reads in the goroutine of the request,
// as echo does, where the example starts another.
func gorillaHandler(prepared, stay bool) http.Handler {
	chat := newGorillaHub()
	chat.stay = stay
	chat.receive = func(m received) { chat.sendAll(newOutgoing(m.text, prepared)) }
	sum := newGorillaHub()
	sum.wait, sum.stay = true, stay
	total := int64(0)
	sum.receive = func(m received) {
		n, err := strconv.ParseInt(string(m.text), 10, 64)
		if err != nil {
			m.from.send <- newOutgoing([]byte(`{"type":"error","error":"not a number"}`), false)
			return
		}
		total += n
		const format = `{"type":%q,"epoch":"PIKT3TV2","version":%d,"total":%d}`
		m.from.send <- newOutgoing(fmt.Appendf(nil, format, "reply", total, total), false)
		update := newOutgoing(fmt.Appendf(nil, format, "update", total, total), false)
		for c := range sum.clients {
			if c != m.from {
				sum.send(c, update)
			}
		}
	}
	go chat.run()
	go sum.run()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", gorillaEcho)
	mux.HandleFunc("/chat", chat.serve)
	mux.HandleFunc("/sum", sum.serve)
	mux.HandleFunc("/power", newGorillaMeter().serve)
	return mux
}

var gorillaUpgrader = websocket.Upgrader{Subprotocols: []string{"json"}}

func gorillaEcho(w http.ResponseWriter, r *http.Request) {
	c, err := gorillaUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }() // the last word
	for {
		kind, message, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(kind, message); err != nil {
			return
		}
	}
}

// The settings of gorilla's chat example, but for the message size.
const (
	writeWait      = 10 * time.Second
	pongWait       = 60 * time.Second
	pingPeriod     = (pongWait * 9) / 10
	maxMessageSize = 64 << 10
	sendBuffer     = 256
)

var chatUpgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, Subprotocols: []string{"json"}}

// gorillaHub is the hub of gorilla's chat example: one goroutine has the
// clients, each client has two goroutines and a channel.
type gorillaHub struct {
	clients    map[*gorillaClient]bool
	messages   chan received
	register   chan *gorillaClient
	unregister chan *gorillaClient
	receive    func(received)
	wait       bool // for slow clients, rather than to close them
	stay       bool // in the handler
}

type received struct {
	from *gorillaClient
	text []byte
}

type outgoing struct {
	text     []byte
	prepared *websocket.PreparedMessage
}

func newOutgoing(text []byte, prepared bool) outgoing {
	if !prepared {
		return outgoing{text: text}
	}
	p, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
	if err != nil {
		panic(err) // only compression can fail
	}
	return outgoing{prepared: p}
}

type gorillaClient struct {
	hub  *gorillaHub
	conn *websocket.Conn
	send chan outgoing
}

func newGorillaHub() *gorillaHub {
	return &gorillaHub{
		clients:    make(map[*gorillaClient]bool),
		messages:   make(chan received),
		register:   make(chan *gorillaClient),
		unregister: make(chan *gorillaClient),
	}
}

func (h *gorillaHub) run() {
	for {
		select {
		case c := <-h.register:
			h.clients[c] = true
		case c := <-h.unregister:
			h.drop(c)
		case m := <-h.messages:
			h.receive(m)
		}
	}
}

func (h *gorillaHub) drop(c *gorillaClient) {
	if h.clients[c] {
		delete(h.clients, c)
		close(c.send)
	}
}

func (h *gorillaHub) sendAll(m outgoing) {
	for c := range h.clients {
		h.send(c, m)
	}
}

func (h *gorillaHub) send(c *gorillaClient, m outgoing) {
	if h.wait {
		c.send <- m
		return
	}
	select {
	case c.send <- m:
	default:
		h.drop(c)
	}
}

func (h *gorillaHub) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := chatUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &gorillaClient{hub: h, conn: conn, send: make(chan outgoing, sendBuffer)}
	h.register <- c
	go c.writePump()
	if h.stay {
		c.readPump()
		return
	}
	go c.readPump()
}

func (c *gorillaClient) readPump() {
	defer func() {
		c.hub.unregister <- c
		_ = c.conn.Close() // the last word
	}()
	c.conn.SetReadLimit(maxMessageSize)
	_ = c.conn.SetReadDeadline(time.Now().Add(pongWait)) // as in the example
	c.conn.SetPongHandler(func(string) error { return c.conn.SetReadDeadline(time.Now().Add(pongWait)) })
	for {
		_, text, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		c.hub.messages <- received{c, text}
	}
}

func (c *gorillaClient) writePump() {
	ticker := time.NewTicker(pingPeriod)
	defer func() {
		ticker.Stop()
		_ = c.conn.Close() // the last word
	}()
	for {
		select {
		case m, ok := <-c.send:
			_ = c.conn.SetWriteDeadline(time.Now().Add(writeWait)) // as in the example
			if !ok {
				_ = c.conn.WriteMessage(websocket.CloseMessage, nil) // the last word
				return
			}
			if err := c.write(m); err != nil {
				c.drain()
				return
			}
		case <-ticker.C:
			_ = c.conn.SetWriteDeadline(time.Now().Add(writeWait)) // as in the example
			if err := c.conn.WriteMessage(websocket.PingMessage, nil); err != nil {
				c.drain()
				return
			}
		}
	}
}

// drain lets a hub that waits go on, until it has unregistered the client.
func (c *gorillaClient) drain() {
	_ = c.conn.Close() // the last word
	for range c.send {
	}
}

func (c *gorillaClient) write(m outgoing) error {
	if m.prepared != nil {
		return c.conn.WritePreparedMessage(m.prepared)
	}
	w, err := c.conn.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	if _, err := w.Write(m.text); err != nil {
		return err
	}
	return w.Close()
}
