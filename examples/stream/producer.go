package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
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

// begin gives the answer a new name, unless there is one at the URL already: pages show that
// one, and take what comes behind its end for nothing.
func (p *producer) begin() error {
	var first []byte
	err := insist("the look for an earlier answer", func() (again bool, err error) {
		first, again, err = p.ask(http.MethodGet, p.url+"?limit=1", nil, "")
		return again, err
	})
	if err == nil && len(first) > 0 {
		other := p.url[:strings.LastIndex(p.url, "/")+1] + strings.ToLower(rand.Text()[:6])
		return fmt.Errorf("%s has an answer already: publish this one at another URL, such as -to %s", p.url, other)
	}
	p.name = rand.Text()
	return err
}

// publish posts a message until the server has answered. It does not count twice, since it is
// posted under the same key each time.
func (p *producer) publish(m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	p.last++
	key := fmt.Sprintf("%s:%d", p.name, p.last)
	return insist(fmt.Sprint("message ", p.last), func() (again bool, err error) {
		_, again, err = p.ask(http.MethodPost, p.url, body, key)
		return again, err
	})
}

// insist makes a request again and again, as long as that may help.
func insist(what string, request func() (again bool, err error)) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		again, err := request()
		if !again {
			return err
		}
		fmt.Fprintln(os.Stderr, what, "is sent again:", err)
		time.Sleep(pause)
	}
}

// ask makes a request once. again reports that the server may take it later, or has taken it
// already.
func (p *producer) ask(method, url string, body []byte, key string) (text []byte, again bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	r.Header.Set("Authorization", "Bearer "+p.secret)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = answer.Body.Close() }() // all that it has is read
	text, err = io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode == http.StatusOK {
		return text, err != nil, err
	}
	busy := answer.StatusCode >= http.StatusInternalServerError || answer.StatusCode == http.StatusTooManyRequests
	return nil, busy, fmt.Errorf("the server answers %s: %s", answer.Status, bytes.TrimSpace(text))
}
