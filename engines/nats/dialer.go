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
