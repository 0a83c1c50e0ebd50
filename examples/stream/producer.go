package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// message is what readers are told. The last one of an answer has Done.
type message struct {
	Token string `json:"token,omitempty"`
	Done  bool   `json:"done,omitempty"`
	Error string `json:"error,omitempty"` // why the answer is not whole
}

// producer publishes the messages of one answer.
type producer struct {
	url, name, secret string
	last              int // number of the last message
}

// How long a request may take, and the pause before the next attempt.
const (
	patience     = 10 * time.Second
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// publish posts a message until the server has answered. It does not count twice, since it is
// posted under the same key each time.
func (p *producer) publish(m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	p.last++
	key := fmt.Sprintf("%s:%d", p.name, p.last)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		again, err := p.post(body, key)
		if !again {
			return err
		}
		fmt.Fprintln(os.Stderr, "message", p.last, "is sent again:", err)
		time.Sleep(pause)
	}
}

// post posts a message once. again reports that the server may take it later, or has taken it
// already.
func (p *producer) post(body []byte, key string) (again bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Authorization", "Bearer "+p.secret)
	r.Header.Set("Idempotency-Key", key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return true, err
	}
	defer func() { _ = answer.Body.Close() }() // all that it has is read
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode == http.StatusOK {
		return err != nil, err
	}
	busy := answer.StatusCode >= http.StatusInternalServerError || answer.StatusCode == http.StatusTooManyRequests
	return busy, fmt.Errorf("the server answers %s: %s", answer.Status, bytes.TrimSpace(text))
}
