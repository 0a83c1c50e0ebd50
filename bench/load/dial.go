package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// dialers is how many handshakes are under way at a time.
const dialers = 64

const handshakeTimeout = 20 * time.Second

var clientTLS = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}} //nolint:gosec // the server made its certificate a moment ago

// connect adds n clients of path to the set.
func (g *Generator) connect(n int, path string, secure bool, subprotocol string) error {
	conns := make([]*conn, n)
	errs := make([]error, dialers)
	var group sync.WaitGroup
	for worker := range dialers {
		group.Go(func() {
			for i := worker; i < n && errs[worker] == nil; i += dialers {
				conns[i], errs[worker] = dial(g.addr, path, secure, subprotocol)
			}
		})
	}
	group.Wait()
	for _, c := range conns {
		if c != nil {
			c.id = len(g.conns)
			g.conns = append(g.conns, c)
		}
	}
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
	}
	for _, c := range conns {
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.id)}
		if err := syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_ADD, c.fd, &event); err != nil {
			return err
		}
	}
	return nil
}

func dial(addr, path string, secure bool, subprotocol string) (*conn, error) {
	dialer := net.Dialer{Timeout: handshakeTimeout}
	tcp, err := dialer.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer tcp.Close()
	if err := tcp.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	s := &socket{Conn: tcp, fd: -1}
	c := &conn{}
	stream := net.Conn(s)
	if secure {
		c.tls = tls.Client(s, clientTLS)
		stream = c.tls
	}
	if c.in, err = handshake(stream, addr, path, subprotocol); err != nil {
		return nil, err
	}
	file, err := tcp.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // a copy stays
	if c.fd, err = syscall.Dup(int(file.Fd())); err != nil {
		return nil, err
	}
	s.fd, s.Conn = c.fd, nil
	return c, syscall.SetNonblock(c.fd, true)
}

// handshake asks for the upgrade and returns what came behind the answer.
func handshake(stream net.Conn, addr, path, subprotocol string) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", path, addr)
	b.WriteString("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	if subprotocol != "" {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", subprotocol)
	}
	b.WriteString("\r\n")
	if _, err := stream.Write([]byte(b.String())); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(stream, 1024)
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("server answered %s", answer.Status)
	}
	early, err := r.Peek(r.Buffered())
	return append([]byte(nil), early...), err
}
