package blackbox

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ripper stands between clients and a server. It delays what it forwards, and cuts every
// connection after a random time: it closes it, resets it, or has it forward nothing any
// more for a while before.
type ripper struct {
	net.Listener
	target  string
	life    time.Duration // of a connection, on average
	cuts    atomic.Int64
	stopped chan struct{}
}

// newRipper forwards to an address until the test ends.
func newRipper(t *testing.T, target string, life time.Duration) *ripper {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &ripper{Listener: l, target: target, life: life, stopped: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() { r.serve(&serving) })
	t.Cleanup(func() {
		l.Close()
		close(r.stopped)
		serving.Wait()
	})
	return r
}

func (r *ripper) serve(serving *sync.WaitGroup) {
	for {
		client, err := r.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.target)
		if err != nil { // the server is away
			client.Close()
			continue
		}
		c := &ripped{client: client, server: server, ended: make(chan struct{})}
		serving.Go(func() { c.forward(client, server) })
		serving.Go(func() { c.forward(server, client) })
		serving.Go(func() { r.cut(c) })
	}
}

// cut waits until it is time, and cuts.
func (r *ripper) cut(c *ripped) {
	defer c.close()
	if !r.wait(c, time.Duration(rand.ExpFloat64()*float64(r.life))) {
		return
	}
	r.cuts.Add(1)
	switch rand.IntN(3) {
	case 0:
		c.client.(*net.TCPConn).SetLinger(0)
		c.server.(*net.TCPConn).SetLinger(0)
	case 1:
		c.frozen.Store(true)
		r.wait(c, rand.N(r.life))
	}
}

// wait reports whether a connection lives on for d.
func (r *ripper) wait(c *ripped, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-c.ended:
	case <-r.stopped:
	}
	return false
}

// ripped is a connection through a ripper.
type ripped struct {
	client, server net.Conn
	frozen         atomic.Bool
	once           sync.Once
	ended          chan struct{}
}

func (c *ripped) close() {
	c.once.Do(func() {
		close(c.ended)
		c.client.Close()
		c.server.Close()
	})
}

// forward forwards until one end closes, every tenth time late.
func (c *ripped) forward(from, to net.Conn) {
	defer c.close()
	p := make([]byte, 4<<10)
	for {
		n, err := from.Read(p)
		if err != nil {
			return
		}
		if rand.IntN(10) == 0 {
			time.Sleep(rand.N(10 * time.Millisecond))
		}
		if c.frozen.Load() {
			continue
		}
		if _, err := to.Write(p[:n]); err != nil {
			return
		}
	}
}
