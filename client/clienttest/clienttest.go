// Package clienttest has WebSocket servers in memory for the tests of clients. They work
// within a bubble of testing/synctest, where time is exact.
package clienttest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// Serve returns a dialer of a server whose connections are handed to talk. The test
// does not end before talk has returned for each of them.
func Serve(t testing.TB, talk func(*websocket.Conn)) *websocket.Dialer {
	return ServeHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var upgrader websocket.Upgrader
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		talk(conn)
	}))
}

// ServeHTTP is Serve for a handler of the requests themselves.
func ServeHTTP(t testing.TB, handler http.Handler) *websocket.Dialer {
	l := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
	var handling sync.WaitGroup
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handling.Add(1)
		defer handling.Done()
		handler.ServeHTTP(w, r)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		<-served
		handling.Wait()
	})
	return &websocket.Dialer{NetDialContext: l.dial}
}

// Echo sends back whatever comes.
func Echo(conn *websocket.Conn) {
	for {
		kind, payload, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, payload) != nil {
			return
		}
	}
}

// listener has the server's ends of pipes.
type listener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{} // closed with the listener
}

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close has dial and Accept fail.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is that of nothing.
func (*listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }
