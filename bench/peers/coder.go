package peers

import (
	"context"
	"crypto/tls"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

func serveCoder(addr string, secure *tls.Config) error {
	chat := &coderChat{subscribers: make(map[*coderSubscriber]struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", coderEcho)
	mux.HandleFunc("/chat", chat.serve)
	return serveHandler(addr, secure, mux)
}

func coderEcho(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }() // the last word
	for {
		kind, p, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, p); err != nil {
			return
		}
	}
}

// coderChat is the chat example: a channel for each subscriber.
type coderChat struct {
	mu          sync.Mutex
	subscribers map[*coderSubscriber]struct{}
}

type coderSubscriber struct{ messages chan []byte }

func (s *coderChat) serve(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }() // the last word
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	sub := &coderSubscriber{messages: make(chan []byte, sendBuffer)}
	s.add(sub)
	defer s.remove(sub)
	go func() {
		defer cancel()
		for {
			_, p, err := c.Read(ctx)
			if err != nil {
				return
			}
			s.publish(p)
		}
	}()
	for {
		select {
		case p := <-sub.messages:
			if err := writeTimeout(ctx, c, p); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *coderChat) add(sub *coderSubscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers[sub] = struct{}{}
}

func (s *coderChat) remove(sub *coderSubscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.subscribers, sub)
}

func (s *coderChat) publish(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subscribers {
		select {
		case sub.messages <- p:
		default: // too slow: the generator sees that messages are missing
		}
	}
}

func writeTimeout(ctx context.Context, c *websocket.Conn, p []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return c.Write(ctx, websocket.MessageText, p)
}
