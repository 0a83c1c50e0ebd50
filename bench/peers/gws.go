package peers

import (
	"crypto/tls"
	"net/http"
	"sync"

	"github.com/lxzan/gws"
)

func serveGWS(addr string, secure *tls.Config) error {
	echo := gws.NewUpgrader(gwsEcho{}, nil)
	chat := gws.NewUpgrader(&gwsChat{sessions: make(map[*gws.Conn]struct{})}, nil)
	serve := func(u *gws.Upgrader) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			socket, err := u.Upgrade(w, r)
			if err != nil {
				return
			}
			go socket.ReadLoop() // lets the request be collected, as its README says
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", serve(echo))
	mux.HandleFunc("/chat", serve(chat))
	return serveHandler(addr, secure, mux)
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(socket *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()             // never fails
	_ = socket.WriteMessage(m.Opcode, m.Bytes()) // an error ends the connection
}

type gwsChat struct {
	gws.BuiltinEventHandler
	mu       sync.RWMutex
	sessions map[*gws.Conn]struct{}
}

func (h *gwsChat) OnOpen(socket *gws.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions[socket] = struct{}{}
}

func (h *gwsChat) OnClose(socket *gws.Conn, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, socket)
}

func (h *gwsChat) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }() // never fails
	// The payload is the broadcaster's until the last write.
	b := gws.NewBroadcaster(m.Opcode, append([]byte(nil), m.Bytes()...))
	defer func() { _ = b.Close() }() // never fails
	h.mu.RLock()
	defer h.mu.RUnlock()
	for socket := range h.sessions {
		_ = b.Broadcast(socket) // an error ends the connection
	}
}
