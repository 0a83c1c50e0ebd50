package blackbox

import (
	"net"
	"strconv"
	"sync"
	"testing"
)

// cutter stands between clients and a server, and takes their connections away.
type cutter struct {
	net.Listener
	target string
	answer func(from, to net.Conn) // passes on what the server says until a connection ends

	mu     sync.Mutex
	conns  map[net.Conn]bool
	frozen map[net.Conn]bool // forward nothing any more
	closed bool              // to new connections
	seen   int               // connections so far
}

// newCutter forwards to the server until the test ends.
func newCutter(t *testing.T, s *server) *cutter {
	t.Helper()
	c := &cutter{target: s.address()}
	c.answer = c.forward
	c.begin(t)
	return c
}

// begin forwards to the target until the test ends.
func (c *cutter) begin(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Listener, c.conns, c.frozen = l, make(map[net.Conn]bool), make(map[net.Conn]bool)
	var serving sync.WaitGroup
	serving.Go(func() { c.serve(&serving) })
	t.Cleanup(func() {
		l.Close()
		c.cut()
		serving.Wait()
	})
}

// url is an address that is forwarded.
func (c *cutter) url(path string) string {
	return "http://localhost:" + strconv.Itoa(c.Addr().(*net.TCPAddr).Port) + path
}

func (c *cutter) serve(serving *sync.WaitGroup) {
	for {
		client, err := c.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.target)
		if err != nil { // the server is away
			client.Close()
			continue
		}
		if !c.take(client, server) {
			client.Close()
			server.Close()
			continue
		}
		serving.Go(func() { c.forward(client, server) })
		serving.Go(func() { c.answer(server, client) })
	}
}

// take notes the two ends of a connection, unless none gets through.
func (c *cutter) take(client, server net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.conns[client], c.conns[server] = true, true
	c.seen++
	return true
}

func (c *cutter) forward(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	p := make([]byte, 4<<10)
	for {
		n, err := from.Read(p)
		if n > 0 && !c.isFrozen(from) {
			if _, err := to.Write(p[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *cutter) isFrozen(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frozen[conn]
}

// freeze has all connections that there are forward nothing any more.
func (c *cutter) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		c.frozen[conn] = true
	}
}

// shut ends all connections, and every new one at once until open is called.
func (c *cutter) shut() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cut()
}

// open lets connections through again.
func (c *cutter) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = false
}

// connections is how many there have been.
func (c *cutter) connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// cut ends all connections that there are.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
		delete(c.conns, conn)
	}
}
