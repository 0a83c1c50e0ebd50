package peers

import (
	"crypto/tls"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

type gobwasServer struct {
	mu   sync.Mutex
	room []net.Conn
}

func serveGobwas(addr string, _ *tls.Config) error {
	s := new(gobwasServer)
	return acceptAll(addr, s.serve)
}

func (s *gobwasServer) serve(conn net.Conn) {
	defer conn.Close()
	chat := false
	upgrader := ws.Upgrader{OnRequest: func(uri []byte) error {
		chat = string(uri) == "/chat"
		return nil
	}}
	if _, err := upgrader.Upgrade(conn); err != nil {
		return
	}
	if chat {
		s.chat(conn)
		return
	}
	for {
		p, op, err := wsutil.ReadClientData(conn)
		if err != nil {
			return
		}
		if err := wsutil.WriteServerMessage(conn, op, p); err != nil {
			return
		}
	}
}

func (s *gobwasServer) chat(conn net.Conn) {
	s.mu.Lock()
	s.room = append(s.room, conn)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.room = remove(s.room, conn)
	}()
	for {
		p, op, err := wsutil.ReadClientData(conn)
		if err != nil {
			return
		}
		frame, err := ws.CompileFrame(ws.NewFrame(op, true, p))
		if err != nil {
			return
		}
		s.broadcast(frame)
	}
}

func (s *gobwasServer) broadcast(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.room {
		_, _ = conn.Write(frame) // its reader sees the end
	}
}
