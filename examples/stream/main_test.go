package main

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// Tokens put together are the text.
func TestTokens(t *testing.T) {
	for text, want := range map[string][]string{
		"":                    nil,
		"Once upon a time":    {"Once", " upon", " a", " time"},
		"\n\n  everywhere.\n": {"\n\n  ev", "erywhe", "re.", "\n"},
		"日本語のテキスト":            {"日本語のテキ", "スト"},
		"abcdef":              {"abcdef"},
	} {
		var got []string
		r := bufio.NewReader(iotest.OneByteReader(strings.NewReader(text)))
		for {
			token, err := nextToken(r)
			if token != "" {
				got = append(got, token)
			}
			if err != nil {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// server answers the requests with these statuses in turn, the last of them for ever, and
// notes what it is sent.
func server(t *testing.T, statuses ...int) (p *producer, got *[]string) {
	t.Helper()
	got = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*got = append(*got, r.Header.Get("Idempotency-Key")+" "+string(body))
		w.WriteHeader(statuses[min(len(*got), len(statuses))-1])
	}))
	t.Cleanup(s.Close)
	return &producer{url: s.URL, name: "a", secret: "secret"}, got
}

// What the server may have taken is sent again under the same number.
func TestRetries(t *testing.T) {
	p, got := server(t, 503, 200, 504, 429, 200)
	if err := stream(p, strings.NewReader("hi"), 0); err != nil {
		t.Fatal(err)
	}
	hi, done := `a:1 {"token":"hi"}`, `a:2 {"done":true}`
	if want := []string{hi, hi, done, done, done}; !slices.Equal(*got, want) {
		t.Errorf("sent %q, want %q", *got, want)
	}
}

// What is refused for good is an error, and nothing follows.
func TestRefusal(t *testing.T) {
	p, got := server(t, 200, 403)
	if err := stream(p, strings.NewReader("one two three"), 0); err == nil || !strings.Contains(err.Error(), "403") || len(*got) != 2 {
		t.Errorf("%v after %q", err, *got)
	}
}

// A new answer needs a URL of its own. Whoever knows the name of an answer goes on with it.
func TestURLThatIsTaken(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		switch {
		case len(asked) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Method == http.MethodGet && r.URL.Path == "/answers/1":
			_, _ = io.WriteString(w, `{"done":true}`+"\n")
		}
	}))
	t.Cleanup(s.Close)
	taken := s.URL + "/answers/1"
	err := run(&producer{url: taken}, strings.NewReader("hi"), 0)
	if err == nil || !strings.HasPrefix(err.Error(), taken+" has an answer already") || !strings.Contains(err.Error(), "-to "+s.URL+"/answers/") {
		t.Error(err)
	}
	if err := run(&producer{url: taken, name: "a"}, strings.NewReader(""), 0); err != nil {
		t.Error(err)
	}
	if err := run(&producer{url: s.URL + "/answers/2"}, strings.NewReader(""), 0); err != nil {
		t.Error(err)
	}
	look := "GET /answers/1?limit=1"
	if want := []string{look, look, "POST /answers/1", "GET /answers/2?limit=1", "POST /answers/2"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// Readers are told that a text has broken off.
func TestTextThatBreaksOff(t *testing.T) {
	p, got := server(t, 200)
	broken := errors.New("broken")
	text := io.MultiReader(strings.NewReader("one"), iotest.ErrReader(broken))
	if err := stream(p, text, 0); !errors.Is(err, broken) {
		t.Error(err)
	}
	if want := []string{`a:1 {"token":"one"}`, `a:2 {"done":true,"error":"the text has broken off"}`}; !slices.Equal(*got, want) {
		t.Errorf("sent %q, want %q", *got, want)
	}
}
