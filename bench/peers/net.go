package peers

import (
	"bytes"
	"crypto/tls"
	"net"
	"sync"
)

// netServer is a goroutine for each connection, in the way of every Go server,
// without a library.
type netServer struct {
	mu   sync.Mutex
	room []net.Conn
}

func serveNet(addr string, _ *tls.Config) error {
	s := new(netServer)
	return acceptAll(addr, s.serve)
}

// acceptAll gives each connection a goroutine.
func acceptAll(addr string, serve func(net.Conn)) error {
	l, err := net.Listen("tcp", addr) //nolint:noctx // until the process ends
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go serve(conn)
	}
}

func (s *netServer) serve(conn net.Conn) {
	defer conn.Close()
	in := make([]byte, 4096)
	n := 0
	for !bytes.HasSuffix(in[:n], []byte("\r\n\r\n")) {
		k, err := conn.Read(in[n:])
		if err != nil {
			return
		}
		n += k
	}
	send := func(p []byte) { _, _ = conn.Write(p) } // no checks
	if bytes.HasPrefix(in, []byte("GET /chat ")) {
		s.join(conn)
		defer s.leave(conn)
		send = s.broadcast
	}
	if _, err := conn.Write([]byte(switching)); err != nil {
		return
	}
	var out []byte
	kept := 0
	for {
		n, err := conn.Read(in[kept:])
		if err != nil {
			return
		}
		var rest []byte
		out, rest = answer(out[:0], in[:kept+n])
		kept = copy(in, rest)
		if len(out) > 0 {
			send(out)
		}
	}
}

func (s *netServer) join(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = append(s.room, conn)
}

func (s *netServer) leave(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = remove(s.room, conn)
}

func (s *netServer) broadcast(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.room {
		_, _ = conn.Write(p) // no checks
	}
}
