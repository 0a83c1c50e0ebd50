package blackbox

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// balancer is a TCP load balancer: it connects each client to one server after another, and
// passes over those that are away.
type balancer struct {
	listener net.Listener
	servers  []*server
	next     atomic.Uint32
	work     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // guarded by mu; nil once it has ended
}

func balance(t *testing.T, servers ...*server) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: l, servers: servers, conns: make(map[net.Conn]bool)}
	b.work.Go(b.accept)
	t.Cleanup(b.end)
	return b
}

func (b *balancer) address() string { return b.listener.Addr().String() }

func (b *balancer) end() {
	b.listener.Close()
	b.mu.Lock()
	for c := range b.conns {
		c.Close()
	}
	b.conns = nil
	b.mu.Unlock()
	b.work.Wait()
}

func (b *balancer) accept() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.work.Go(func() { b.connect(client) })
	}
}

// connect passes bytes between a client and the next server that is there.
func (b *balancer) connect(client net.Conn) {
	server := b.dial()
	if server == nil || !b.keep(client, server) {
		client.Close()
		return
	}
	b.work.Go(func() { b.pass(client, server) })
	b.pass(server, client)
}

func (b *balancer) dial() net.Conn {
	for range b.servers {
		s := b.servers[int(b.next.Add(1))%len(b.servers)]
		if conn, err := net.Dial("tcp", s.address()); err == nil {
			return conn
		}
	}
	return nil
}

// keep reports whether connections that were made are still of use.
func (b *balancer) keep(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		if b.conns == nil {
			c.Close()
			continue
		}
		b.conns[c] = true
	}
	return b.conns != nil
}

// pass copies until one end is closed, then both are.
func (b *balancer) pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range []net.Conn{to, from} {
		c.Close()
		delete(b.conns, c)
	}
}
