package blackbox

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const connectConfig = `GLOBAL
		websocket {
			engine memory
		}
	END
	http://localhost:PORT, http://127.0.0.1:PORT {
		websocket /sum* sum
		websocket /echo echo
		websocket /chat broadcast
		websocket /slow echo {
			name slow
			max_message_size 1KiB
		}
		websocket /once {
			app echo {
				once
			}
			name once
		}
		basic_auth /private {
			ann $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
		}
		websocket /private echo {
			name private
		}
		websocket /narrow echo {
			name narrow
			max_connections_per_ip 1
		}
		header /full Retry-After 7
		respond /full "come back" 503
		respond /plain "hello"
		respond /upgrade 426
	}
	https://localhost:TLSPORT {
		tls internal
		websocket echo {
			name tls
		}
	}`

// ran is what a command has printed, and how it ended.
type ran struct {
	stdout, stderr string
	status         int
}

// websocket runs `caddy websocket` with an input. It ends by itself.
func (s *server) websocket(t *testing.T, input string, args ...string) ran {
	t.Helper()
	command := s.command(t, nil, append([]string{"websocket"}, args...)...)
	command.Stdin = strings.NewReader(input)
	dieTogether(command)
	return finish(t, command)
}

// finish runs a command to its end.
func finish(t *testing.T, command *exec.Cmd) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	hang := time.AfterFunc(patience, func() { command.Process.Kill() })
	defer hang.Stop()
	command.Wait()
	return ran{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// What goes in and comes out, over pipes, and the exit status of each end.
func TestConnectCommand(t *testing.T) {
	s := start(t, connectConfig)
	s.tls()
	base := "ws://localhost:" + strconv.Itoa(s.Port)
	narrowURL := "ws://127.0.0.1:" + strconv.Itoa(s.Port) + "/narrow" // localhost may be two addresses
	narrow, _, err := websocket.DefaultDialer.Dial(narrowURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { narrow.Close() }) // after the rows, which are parallel
	go func() {                          // answers pings
		for err == nil {
			_, _, err = narrow.ReadMessage()
		}
	}()
	for _, row := range []struct {
		name   string
		input  string
		args   []string
		stdout string
		status int
		stderr []string
	}{
		{"a number", "6\n", []string{base + "/sum"}, "6\n", 0, nil},
		{"without waiting", "1\n2\n", []string{"--wait", "0", base + "/sum/two"}, "1\n3\n", 0, nil},
		{"http instead of ws", "hi", []string{"-w", "0", "http" + strings.TrimPrefix(base, "ws") + "/echo"}, "hi\n", 0, nil},
		{"nothing", "", []string{"-w", "0", base + "/echo"}, "", 0, nil},
		{"raw text", "a\x1b[2J\tb\n", []string{"-w", "0", base + "/echo"}, "a\x1b[2J\tb\n", 0, nil},
		{"raw binary", "a\n\x00\xff", []string{"-w", "0", "--binary", base + "/echo"}, "a\n\x00\xff", 0, nil},
		{"subprotocol", "x\n", []string{"-w", "0", "-s", "json", base + "/sum/json"}, `{"type":"state",`, 0, nil},
		{"user", "x\n", []string{"-w", "0", "-u", "ann:secret", base + "/private"}, "x\n", 0, nil},
		{"user in the URL", "x\n", []string{"-w", "0", strings.Replace(base, "//", "//ann:secret@", 1) + "/private"}, "x\n", 0, nil},
		{"header", "x\n", []string{"-w", "0", "-H", "Origin: http://example.com", base + "/echo"}, "", 2, []string{"403 Forbidden"}},
		{"TLS", "x\n", []string{"-w", "0", "--insecure", "wss://localhost:" + strconv.Itoa(s.TLSPort) + "/"}, "x\n", 0, nil},
		{"closed by the server with 1000", "x\ny\n", []string{"--wait", "forever", base + "/once"}, "x\n", 0, nil},

		{"no password", "", []string{base + "/private"}, "", 2, []string{"401 Unauthorized", "--user", "WWW-Authenticate: Basic"}},
		{"a user without password", "", []string{"-u", "ann", base + "/private"}, "", 1, []string{"--user name:password"}},
		{"no WebSocket", "", []string{base + "/plain"}, "", 2, []string{"200 OK", "hello"}},
		{"426", "", []string{base + "/upgrade"}, "", 2, []string{"426 Upgrade Required"}},
		{"429", "", []string{narrowURL}, "", 2, []string{"429 Too Many Requests", "Retry-After: "}},
		{"503", "", []string{base + "/full"}, "", 2, []string{"503 Service Unavailable", "Retry-After: 7", "come back"}},
		{"no such subprotocol", "", []string{"-s", "v9", base + "/echo"}, "", 2, []string{"none of the subprotocols v9"}},
		{"too big", strings.Repeat("x", 2000), []string{base + "/slow"}, "", 3, []string{"1009 message too big"}},
		{"an unknown certificate", "", []string{"wss://localhost:" + strconv.Itoa(s.TLSPort) + "/"}, "", 1, []string{"--insecure"}},
		{"TLS where there is none", "", []string{"wss" + strings.TrimPrefix(base, "ws") + "/echo"}, "", 1, []string{"use ws://"}},
		{"no TLS where there is some", "", []string{"ws://localhost:" + strconv.Itoa(s.TLSPort) + "/"}, "", 2, []string{"400 Bad Request", "HTTPS server"}},
		{"nobody listens", "", []string{"ws://localhost:" + strconv.Itoa(s.OtherPort)}, "", 1, []string{"connection refused"}},
		{"no scheme", "", []string{"localhost:80"}, "", 1, []string{"write ws://"}},
		{"no URL", "", nil, "", 1, []string{"accepts 1 arg"}},
		{"an unknown flag", "", []string{"--nothing", base}, "", 1, []string{"unknown flag"}},
		{"a wrong ping", "", []string{"--ping", "1ns", base}, "", 1, []string{"--ping 1ns: expected 10ms to 24h"}},
		{"a wrong wait", "", []string{"--wait", "soon", base}, "", 1, []string{"forever"}},
		{"not UTF-8", "\xff", []string{base + "/echo"}, "", 1, []string{"line 1 of the input is not UTF-8"}},
		{"too big for itself", "123456789", []string{"--max-message-size", "8", base + "/echo"}, "", 1, []string{"more than 8 bytes"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := s.websocket(t, row.input, append([]string{"connect"}, row.args...)...)
			same := got.stdout == row.stdout || strings.HasSuffix(row.stdout, ",") && strings.HasPrefix(got.stdout, row.stdout)
			if got.status != row.status || !same || (got.stderr == "") != (row.stderr == nil) {
				t.Errorf("status %d, printed %q and %q", got.status, got.stdout, got.stderr)
			}
			for _, want := range row.stderr {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("there is no %q in %q", want, got.stderr)
				}
			}
		})
	}
}

// In JSON each line is an object, from the opening to the end.
func TestConnectJSON(t *testing.T) {
	s := start(t, connectConfig)
	got := s.websocket(t, "x\n", "connect", "--json", "--wait", "forever", "ws://localhost:"+strconv.Itoa(s.Port)+"/once")
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if got.status != 0 || len(lines) != 3 {
		t.Fatalf("status %d, printed %q", got.status, got.stdout)
	}
	for i, want := range []string{`{"type":"open",`, `"data":"x"}`, `"code":1000}`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %s, want %s", i, lines[i], want)
		}
	}
}

// talking is a command that goes on.
type talking struct {
	*exec.Cmd
	input          io.WriteCloser
	stdout, stderr *lines
}

// talk starts `caddy websocket connect` to a URL, which waits for input.
func (s *server) talk(t *testing.T, url string, args ...string) *talking {
	t.Helper()
	c := &talking{Cmd: s.command(t, nil, append([]string{"websocket", "connect", url}, args...)...)}
	c.stdout, c.stderr = &lines{changed: make(chan struct{})}, &lines{changed: make(chan struct{})}
	c.Stdout, c.Stderr = c.stdout, c.stderr
	dieTogether(c.Cmd)
	var err error
	if c.input, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err = c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// ends waits for the command, and expects a status and what it says.
func (c *talking) ends(t *testing.T, status int, says string) {
	t.Helper()
	hang := time.AfterFunc(patience, func() { c.Process.Kill() })
	defer hang.Stop()
	c.Wait()
	if got := c.ProcessState.ExitCode(); got != status {
		t.Errorf("status %d, said %q, want %d", got, c.stderr, status)
	}
	c.stderr.waitAll(t, 1, says) // a terminal may show it after the end of the process
}

// ^C closes with 1000: the server sees a client that says goodbye.
func TestConnectIsInterrupted(t *testing.T) {
	s := start(t, connectConfig)
	c := s.talk(t, s.webSocketURL("/chat"))
	io.WriteString(c.input, "hello\n")
	c.stdout.wait(t, "hello")
	c.Process.Signal(os.Interrupt)
	c.ends(t, 0, "")
	if line := s.log.wait(t, "connection ended"); !strings.Contains(line, `"code":1000`) || !strings.Contains(line, `"by_client":true`) {
		t.Error(line)
	}
}

func (s *server) webSocketURL(path string) string {
	return "ws://127.0.0.1:" + strconv.Itoa(s.Port) + path // localhost may be two addresses
}

// A server that stops says so.
func TestConnectToAServerThatStops(t *testing.T) {
	s := start(t, connectConfig)
	c := s.talk(t, s.webSocketURL("/chat"))
	io.WriteString(c.input, "hello\n")
	c.stdout.wait(t, "hello")
	s.stop()
	c.ends(t, 3, "1001 going away")
}

// A connection that is cut, and one that nobody answers a ping on.
func TestConnectIsCut(t *testing.T) {
	s := start(t, connectConfig)
	arrived := make(chan *websocket.Conn, 1)
	end := make(chan struct{})
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var upgrader websocket.Upgrader
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			arrived <- conn
			<-end
		}
	}))
	defer other.Close()
	defer close(end)
	c := s.talk(t, other.URL)
	(<-arrived).NetConn().Close()
	c.ends(t, 4, "the connection was cut")

	c = s.talk(t, other.URL, "--ping", "50ms")
	silent := <-arrived
	defer silent.Close()
	c.ends(t, 4, "nothing has come since the last ping")

	c = s.talk(t, other.URL) // nobody answers its close frame
	deaf := <-arrived
	defer deaf.Close()
	if err := deaf.WriteMessage(websocket.TextMessage, []byte("connected")); err != nil {
		t.Fatal(err)
	}
	c.stdout.wait(t, "connected") // before that ^C ends the handshake
	c.Process.Signal(os.Interrupt)
	_, _, err := deaf.NextReader() // its answer is sent by hand, or not
	if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Error(err)
	}
	c.ends(t, 0, "")
}

// Commands of Caddy know these, and every flag stands in the README.
func TestCommandsAreDocumented(t *testing.T) {
	s := prepare(t, "")
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := finish(t, s.command(t, nil, "websocket", "--help")); !strings.Contains(got.stdout, "connect") || !strings.Contains(got.stdout, "bench") {
		t.Errorf("%+v", got)
	}
	for _, command := range []string{"connect", "bench"} {
		got := finish(t, s.command(t, nil, "websocket", command, "--help"))
		n := 0
		for word := range strings.FieldsSeq(got.stdout) {
			flag := strings.TrimRight(word, ".,")
			if !strings.HasPrefix(flag, "--") || flag == "--help" {
				continue
			}
			if n++; !bytes.Contains(readme, []byte("`"+flag)) {
				t.Errorf("the README has no %s of %s", flag, command)
			}
		}
		if n < 10 || got.status != 0 {
			t.Errorf("%s --help: %+v", command, got)
		}
	}
	if got := s.websocket(t, ""); got.status != 0 || !strings.Contains(got.stdout, "connect") {
		t.Errorf("%+v", got)
	}
	if got := s.websocket(t, "", "nothing"); got.status != 1 || !strings.Contains(got.stderr, "expected backup, connect or bench") {
		t.Errorf("%+v", got)
	}
}
