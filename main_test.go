package caddyws

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/gorilla/websocket"
)

// What the tests of the directive need: a real Caddy in this process, clients,
// and what was logged. There is one Caddy in a process: none of them is parallel.

// patience bounds every wait; only a failing test comes so far.
const patience = time.Minute

// server is a Caddy that runs.
type server struct {
	t   *testing.T
	dir string // its storage and its admin socket

	Port, TLSPort, OtherPort int

	handshake http.Header // replaces fields of the next extended CONNECT

	reloading bool // an old listener may still take a connection, which Caddy then closes
}

// start runs a Caddyfile. PORT, TLSPORT and OTHERPORT in it are free ports, and
// CERTIFICATE is a file with a certificate for localhost and its key.
func start(t *testing.T, config string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir()}
	t.Setenv("XDG_DATA_HOME", s.dir)
	t.Cleanup(s.stop)
	s.writeCertificate(t)
	for range 5 {
		ports := freePorts(3)
		s.Port, s.TLSPort, s.OtherPort = ports[0], ports[1], ports[2]
		logged.reset()
		err := caddy.Load(s.json(config), true)
		if err == nil {
			return s
		}
		if !strings.Contains(err.Error(), "address already in use") {
			t.Fatal(err)
		}
	}
	t.Fatal("there is no free port")
	return nil
}

// stop ends Caddy and waits until nothing of this module runs any more.
func (s *server) stop() {
	if err := caddy.Stop(); err != nil {
		s.t.Error(err)
	}
	if n := references(); n > 0 {
		s.t.Errorf("%d references to a hub are left", n)
	}
	waitForGoroutines(s.t)
}

// references is how many configurations use the hubs there are.
func references() (n int) {
	hubs.Range(func(key, _ any) bool {
		count, _ := hubs.References(key)
		n += count
		return true
	})
	return n
}

// json adapts a Caddyfile, with what all servers have in common put before it.
func (s *server) json(config string) []byte {
	s.t.Helper()
	adapted, err := adapt(s.globals(config))
	if err != nil {
		s.t.Fatal(err)
	}
	return adapted
}

// globals completes a Caddyfile, which may begin with global options between
// GLOBAL and END. Nothing is logged at the level DEBUG: for its lines about events Caddy reads
// its TLS app while that starts, which is a race.
func (s *server) globals(config string) string {
	own := ""
	if before, after, ok := strings.Cut(config, "END\n"); ok {
		own, config = strings.TrimPrefix(strings.TrimSpace(before), "GLOBAL"), after
	}
	return strings.NewReplacer("TLSPORT", strconv.Itoa(s.TLSPort), "OTHERPORT", strconv.Itoa(s.OtherPort), "PORT", strconv.Itoa(s.Port), "CERTIFICATE", s.certificateFile()).Replace(`{
		admin unix/` + s.dir + `/admin.sock
		persist_config off
		skip_install_trust
		auto_https disable_redirects
		https_port TLSPORT
		storage file_system ` + s.dir + `
		log default {
			output test_lines
			format json
		}
		` + own + "\n}\n" + config)
}

// load reloads Caddy with another Caddyfile.
func (s *server) load(config string) {
	s.t.Helper()
	if err := caddy.Load(s.json(config), true); err != nil {
		s.t.Fatal(err)
	}
	s.reloading = true
}

// loadFails reloads Caddy with a configuration that must be refused with a
// reason.
func (s *server) loadFails(config []byte, reason string) {
	s.t.Helper()
	s.reloading = true
	if err := caddy.Load(config, true); err == nil || !strings.Contains(err.Error(), reason) {
		s.t.Fatalf("reload: got %v, want an error with %q", err, reason)
	}
}

// admin asks Caddy's admin API.
func (s *server) admin(method, path, contentType, body string) (int, string) {
	s.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "admin.sock"))
		},
	}}
	s.reloading = s.reloading || path == "/load"
	var answer *http.Response
	for err := io.EOF; err != nil; { // an admin endpoint that is being replaced may go without an answer
		r, _ := http.NewRequest(method, "http://caddy"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		if answer, err = client.Do(r); err != nil && !errors.Is(err, io.EOF) {
			s.t.Fatal(err)
		}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// freePorts returns ports that were free a moment ago, none of which is given to outgoing
// connections.
func freePorts(n int) (ports []int) {
	for len(ports) < n {
		port := 11_000 + rand.IntN(21_768)
		if l, err := net.Listen("tcp", ":"+strconv.Itoa(port)); err == nil {
			defer l.Close()
			ports = append(ports, port)
		}
	}
	return ports
}

// dialer connects to the server whatever the host of the URL.
func (s *server) dialer(port int) *websocket.Dialer {
	return &websocket.Dialer{
		HandshakeTimeout: patience,
		NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		},
	}
}

// client is gorilla's client.
type client struct {
	t *testing.T
	*websocket.Conn
	answer *http.Response
}

// dial connects to a path, or to a host and path, with headers "Name: value".
func (s *server) dial(path string, headers ...string) *client {
	s.t.Helper()
	c, answer, err := s.tryDial(path, headers...)
	if err != nil {
		s.t.Fatalf("connecting to %s: %v, %v", path, err, answer)
	}
	return c
}

func (s *server) tryDial(path string, headers ...string) (*client, *http.Response, error) {
	var host string
	if !strings.HasPrefix(path, "/") {
		host, path, _ = strings.Cut(path, "/")
		path = "/" + path
	} else {
		host = "localhost:" + strconv.Itoa(s.Port)
	}
	header := make(http.Header)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		header.Add(name, value)
	}
	conn, answer, err := s.dialer(s.Port).Dial("ws://"+host+path, header)
	for end := time.Now().Add(patience); err != nil && answer == nil && s.reloading && time.Now().Before(end); {
		conn, answer, err = s.dialer(s.Port).Dial("ws://"+host+path, header)
	}
	if err != nil {
		return nil, answer, err
	}
	return s.adopt(conn, answer), answer, nil
}

func (s *server) adopt(conn *websocket.Conn, answer *http.Response) *client {
	s.t.Cleanup(func() { conn.Close() })
	return &client{s.t, conn, answer}
}

// ReadMessage reads the next message, which may take as long as any other.
func (c *client) ReadMessage() (kind int, message []byte, err error) {
	c.SetReadDeadline(time.Now().Add(patience))
	return c.Conn.ReadMessage()
}

// ReadJSON is ReadMessage of JSON.
func (c *client) ReadJSON(v any) error {
	c.SetReadDeadline(time.Now().Add(patience))
	return c.Conn.ReadJSON(v)
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatalf("sending %q: %v", text, err)
	}
}

// expect reads messages, which must be these.
func (c *client) expect(messages ...string) {
	c.t.Helper()
	for _, want := range messages {
		_, got, err := c.ReadMessage()
		if err != nil || string(got) != want {
			c.t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
}

// ask sends a message and expects the answers.
func (c *client) ask(message string, answers ...string) {
	c.t.Helper()
	c.send(message)
	c.expect(answers...)
}

// expectClose reads the end of the connection.
func (c *client) expectClose(code int) {
	c.t.Helper()
	_, got, err := c.ReadMessage()
	if !websocket.IsCloseError(err, code) {
		c.t.Fatalf("got %q, %v, want the end with %d", got, err, code)
	}
}

// roundTrip sends a request. The wait for the answer is bounded, and each for more of it.
func roundTrip(t *testing.T, transport http.RoundTripper, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	t.Cleanup(cancel)
	late := time.AfterFunc(patience, cancel)
	defer late.Stop()
	answer, err := transport.RoundTrip(r.WithContext(ctx))
	if err == nil {
		t.Cleanup(func() { answer.Body.Close() })
		answer.Body = &body{answer.Body, late}
	}
	return answer, err
}

// body is one whose reads may each take a time.
type body struct {
	io.ReadCloser
	late *time.Timer
}

func (b *body) Read(p []byte) (int, error) {
	b.late.Reset(patience)
	defer b.late.Stop()
	return b.ReadCloser.Read(p)
}

// raw sends a request as it is and returns the answer with its body.
func (s *server) raw(request string) (*http.Response, string) {
	s.t.Helper()
	answer, body, err := s.tryRaw(request)
	for end := time.Now().Add(patience); answer == nil && s.reloading && time.Now().Before(end); {
		answer, body, err = s.tryRaw(request)
	}
	if err != nil {
		s.t.Fatalf("%v after\n%s", err, request)
	}
	return answer, body
}

// tryRaw is raw once. The answer is nil if none begins.
func (s *server) tryRaw(request string) (answer *http.Response, body string, err error) {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
	if err != nil {
		return nil, "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, "", err
	}
	if answer, err = http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode == http.StatusSwitchingProtocols {
		return answer, "", err
	}
	p, err := io.ReadAll(answer.Body)
	return answer, string(p), err
}

// lines is everything that Caddy logged, one line each.
type lines struct {
	mu      sync.Mutex
	all     []string
	changed chan struct{} // closed by the next line
}

var logged = &lines{changed: make(chan struct{})}

// Write takes one entry from Caddy's logger.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(bytes.TrimSuffix(p, []byte("\n"))))
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = nil
}

func (l *lines) snapshot() ([]string, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.all...), l.changed
}

// entry is a log line.
type entry map[string]any

// wait returns the first entry, now or later, that is the wanted one.
func (l *lines) wait(t *testing.T, what string, wanted func(entry) bool) entry {
	t.Helper()
	return l.waitAll(t, what, 1, wanted)[0]
}

// waitAll returns the first n wanted entries.
func (l *lines) waitAll(t *testing.T, what string, n int, wanted func(entry) bool) []entry {
	t.Helper()
	deadline := time.After(patience)
	for {
		all, changed := l.snapshot()
		if found := find(t, all, wanted); len(found) >= n {
			return found
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("not logged: %s; but\n%s", what, strings.Join(all, "\n"))
		}
	}
}

func find(t *testing.T, lines []string, wanted func(entry) bool) (found []entry) {
	t.Helper()
	for _, line := range lines {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("log line is no JSON: %q", line)
		}
		if wanted(e) {
			found = append(found, e)
		}
	}
	return found
}

func isMessage(message string) func(entry) bool {
	return func(e entry) bool { return e["msg"] == message }
}

func isAccess(status int) func(entry) bool {
	return func(e entry) bool { return e["msg"] == "handled request" && e["status"] == float64(status) }
}

// lineWriter is the log output test_lines.
type lineWriter struct{}

func init() { caddy.RegisterModule(lineWriter{}) }

func (lineWriter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.writers.test_lines",
		New: func() caddy.Module { return new(lineWriter) },
	}
}

func (lineWriter) String() string                                  { return "test_lines" }
func (lineWriter) WriterKey() string                               { return "test_lines" }
func (lineWriter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }
func (lineWriter) OpenWriter() (io.WriteCloser, error)             { return nopCloser{logged}, nil }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// waitForGoroutines waits until no goroutine of this module is left. Caddy's own
// outlive a configuration, so that goleak would see them.
func waitForGoroutines(t *testing.T) {
	t.Helper()
	var left []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if left = ourGoroutines(); len(left) == 0 {
			return
		}
	}
	t.Errorf("goroutines are left:\n%s", strings.Join(left, "\n\n"))
}

func ourGoroutines() (ours []string) {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "os.(*rawConn).Read") && strings.Contains(stack, "socket.(*loop).run") {
			continue // one for each core waits for all connections, as long as the process lives
		}
		for _, folder := range []string{"hub", "socket", "apps", "engines"} {
			if strings.Contains(stack, "caddyws/caddy-websocket/"+folder) {
				ours = append(ours, stack)
				break
			}
		}
	}
	return ours
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "caddyws")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv("XDG_DATA_HOME", dir) // Caddy writes there
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
