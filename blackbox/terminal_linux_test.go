package blackbox

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal: what its person types and sees.
type terminal struct {
	person *os.File // types and sees
	other  *os.File // what a program has for a terminal
	seen   *lines
	ended  chan struct{} // closed when no more can be seen
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		missing(t, err.Error())
	}
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := &terminal{person, other, &lines{changed: make(chan struct{})}, make(chan struct{})}
	go func() {
		io.Copy(e.seen, person) // until no program has the terminal any more
		close(e.ended)
	}()
	t.Cleanup(func() { person.Close(); other.Close() })
	return e
}

// mode is how the terminal treats what is typed.
func (e *terminal) mode(t *testing.T) unix.Termios {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(e.other.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *mode
}

func (e *terminal) types(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(e.person, keys); err != nil {
		t.Fatal(err)
	}
}

// see waits until something is on the screen.
func (e *terminal) see(t *testing.T, text string) {
	t.Helper()
	e.seen.waitAll(t, 1, text)
}

// connect runs the command at the terminal.
func (e *terminal) connect(t *testing.T, s *server, args ...string) *talking {
	t.Helper()
	c := &talking{Cmd: s.command(t, nil, append([]string{"websocket"}, args...)...), stderr: e.seen}
	c.Env = append(c.Env, "TERM=xterm")
	c.Stdin, c.Stdout, c.Stderr = e.other, e.other, e.other
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
	up    = "\x1b[A"
)

// A person types, sees what comes above the line, gets lines back, and leaves; the
// terminal is then as it was before.
func TestConnectAtATerminal(t *testing.T) {
	s := start(t, connectConfig)
	e := newTerminal(t)
	before := e.mode(t)
	c := e.connect(t, s, "connect", s.webSocketURL("/chat"))
	e.see(t, "Connected to "+s.webSocketURL("/chat"))
	e.types(t, "hellO\x7fo\r")
	e.see(t, "< hello\r\n")
	e.types(t, up+" again\r")
	e.see(t, "< hello again\r\n")
	if e.mode(t) == before {
		t.Error("the terminal is not in raw mode: the other assertions say nothing")
	}
	e.types(t, "not sent"+ctrlC)
	c.ends(t, 0, "")
	if after := e.mode(t); after != before {
		t.Errorf("the terminal is left in mode %+v, was %+v", after, before)
	}
}

// What a server sends does not take over the terminal, nor does its reason to close.
func TestConnectShowsNothingThatATerminalObeys(t *testing.T) {
	s := start(t, connectConfig)
	e := newTerminal(t)
	c := e.connect(t, s, "connect", s.webSocketURL("/chat"))
	e.see(t, "Connected to ")
	evil := "\x1b]0;title\x07\x1b[2J\u009b31m\u202eend\nfake"
	other, _, err := websocket.DefaultDialer.Dial(s.webSocketURL("/chat"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.WriteMessage(websocket.TextMessage, []byte(evil))
	e.see(t, `< \x1b]0;title\x07\x1b[2J\u009b31m\u202eend`+"\r\n  fake")
	other.WriteMessage(websocket.BinaryMessage, []byte("\x00\xff"))
	e.see(t, "< binary, 2 bytes: 00 ff\r\n")
	e.types(t, ctrlD)
	c.ends(t, 0, "")
	for _, never := range []string{"\x1b]0", "\x1b[2J", "\u009b", "\u202e"} {
		if e.seen.has(never) {
			t.Errorf("the terminal was sent %q: %q", never, e.seen)
		}
	}
}

// With --binary a person types hexadecimal, and is told when it is not.
func TestConnectTypesHexadecimal(t *testing.T) {
	s := start(t, connectConfig)
	e := newTerminal(t)
	c := e.connect(t, s, "connect", "--binary", s.webSocketURL("/echo"))
	e.see(t, "Connected to ")
	e.types(t, "hello\r")
	e.see(t, "Not sent: with --binary a line is hexadecimal")
	e.types(t, "00 ff7A\r")
	e.see(t, "< binary, 3 bytes: 00 ff 7a\r\n")
	e.types(t, ctrlD)
	c.ends(t, 0, "")
}

// A line that the editor has cut is not sent as if it were whole.
func TestConnectSendsNoLineThatIsCut(t *testing.T) {
	s := start(t, connectConfig)
	e := newTerminal(t)
	c := e.connect(t, s, "connect", s.webSocketURL("/echo"))
	e.see(t, "Connected to ")
	e.types(t, "\x1b[200~"+strings.Repeat("x", 5000)+"\r\x1b[201~")
	e.see(t, "Not sent: a line can have 4095 characters here")
	e.types(t, "short\r")
	e.see(t, "< short\r\n")
	e.types(t, ctrlD)
	c.ends(t, 0, "")
}

// The terminal is given back when the server ends it, too, and when it is told by a
// signal.
func TestConnectGivesTheTerminalBack(t *testing.T) {
	s := start(t, connectConfig)
	e := newTerminal(t)
	before := e.mode(t)
	c := e.connect(t, s, "connect", s.webSocketURL("/slow"))
	e.see(t, "Connected to ")
	e.types(t, strings.Repeat("x", 1025)+"\r")
	c.ends(t, 3, "1009 message too big")
	if e.mode(t) != before {
		t.Error("the terminal is left as it was used")
	}
	c = e.connect(t, s, "connect", s.webSocketURL("/chat"))
	e.see(t, "Connected to "+s.webSocketURL("/chat"))
	c.Process.Signal(syscall.SIGTERM)
	c.ends(t, 0, "")
	if e.mode(t) != before {
		t.Error("the terminal is left as it was used, after SIGTERM")
	}
}

// A password that is not in the command line is asked for, and not shown.
func TestConnectAsksForThePassword(t *testing.T) {
	s := start(t, connectConfig)
	e := newTerminal(t)
	c := e.connect(t, s, "connect", "--user", "ann", s.webSocketURL("/private"))
	e.see(t, "Password of ann: ")
	e.types(t, "secret\r")
	e.see(t, "Connected to ")
	if e.seen.has("secret") {
		t.Error("the password is on the screen")
	}
	e.types(t, ctrlD)
	c.ends(t, 0, "")
}

// A terminal shows how far a measurement is.
func TestBenchShowsItsProgress(t *testing.T) {
	s := start(t, connectConfig)
	e := newTerminal(t)
	c := e.connect(t, s, "bench", "--duration", "1s", s.webSocketURL("/echo"))
	e.see(t, " of 1s, ")
	c.ends(t, 0, "")
	e.see(t, "answered")
}
