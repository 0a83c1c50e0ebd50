package peers

import (
	"crypto/tls"
	"net/http"
	"sync"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

func serveNBIO(addr string, _ *tls.Config) error {
	logging.SetLevel(logging.LevelError)
	chat := new(nbioChat)
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", nbioEcho)
	mux.HandleFunc("/chat", chat.serve)
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network:                 "tcp",
		Addrs:                   []string{addr},
		MaxLoad:                 1_000_000,
		ReleaseWebsocketPayload: true,
		Handler:                 mux,
	})
	if err := engine.Start(); err != nil {
		return err
	}
	select {}
}

func nbioEcho(w http.ResponseWriter, r *http.Request) {
	u := websocket.NewUpgrader()
	u.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, p []byte) {
		_ = c.WriteMessage(kind, p) // an error ends the connection
	})
	_, _ = u.Upgrade(w, r, nil) // the client sees the error
}

type nbioChat struct {
	mu   sync.Mutex
	room []*websocket.Conn
}

func (s *nbioChat) serve(w http.ResponseWriter, r *http.Request) {
	u := websocket.NewUpgrader()
	u.OnOpen(func(c *websocket.Conn) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.room = append(s.room, c)
	})
	u.OnClose(func(c *websocket.Conn, _ error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.room = remove(s.room, c)
	})
	u.OnMessage(func(_ *websocket.Conn, kind websocket.MessageType, p []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.room {
			_ = c.WriteMessage(kind, p) // an error ends the connection
		}
	})
	_, _ = u.Upgrade(w, r, nil) // the client sees the error
}
