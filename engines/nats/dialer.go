package nats

import (
	"context"
	"net"
	"sync"
)

// dialer connects to servers for the client of NATS, which knows no contexts.
type dialer struct {
	over context.Context // when it ends, so does dialing

	mu     sync.Mutex
	newest net.Conn // guarded by mu; nil before the first one
}

// Dial connects to a server.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.over, dialTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn = wholeConn{conn}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.newest = conn
	return conn, nil
}

// cut ends the newest connection.
func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.newest != nil {
		_ = d.newest.Close()
	}
}

// wholeConn is a connection that is closed when something cannot be written. The client of
// NATS forgets what it could not write, subscriptions too, and would go on; so it has to connect
// again, which sends all subscriptions, and it says to those who wait that there will be no
// answer.
type wholeConn struct{ net.Conn }

// Write writes all of p, or closes the connection.
func (c wholeConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}
