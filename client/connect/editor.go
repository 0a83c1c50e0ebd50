package connect

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	"golang.org/x/term"
)

// longest is how many characters x/term's editor keeps of a line. It drops what comes
// behind them.
const longest = 4096

// editor is a source that has a person type lines, while what comes is printed above the
// line. It may be written to at any time.
type editor struct {
	terminal *term.Terminal
	fd       int
	binary   bool // lines are hexadecimal

	mu     sync.Mutex
	before *term.State // nil once the terminal is given back
}

// newEditor takes the terminal of the standard input and output. The caller must call
// restore.
func newEditor(binary bool) (*editor, error) {
	e := &editor{fd: int(os.Stdin.Fd()), binary: binary}
	var err error
	if e.before, err = term.MakeRaw(e.fd); err != nil {
		return nil, fmt.Errorf("using the terminal: %w", err)
	}
	e.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}, "> ")
	e.terminal.SetBracketedPasteMode(true)
	e.fit()
	return e, nil
}

// fit follows the size of the window.
func (e *editor) fit() {
	if width, height, err := term.GetSize(e.fd); err == nil && width > 0 {
		_ = e.terminal.SetSize(width, height) // else lines are broken in the wrong place
	}
}

// restore gives the terminal back as it was, without the line that was being typed. It
// may be called again.
func (e *editor) restore() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.before == nil {
		return
	}
	e.terminal.SetBracketedPasteMode(false)
	_, _ = io.WriteString(os.Stdout, "\r\x1b[K") // the terminal may have gone
	_ = term.Restore(e.fd, e.before)
	e.before = nil
}

// Write prints above the line that is being typed.
func (e *editor) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.before == nil {
		return os.Stdout.Write(p)
	}
	e.fit()
	return e.terminal.Write(p)
}

// say tells the person something. If the terminal has gone, there is nobody to tell.
func (e *editor) say(text string) { _, _ = io.WriteString(e, text+"\n") }

// next returns the next line. Empty ones are skipped: they were hardly meant. Once the
// person wants to end, by ^C or ^D, the terminal is given back, so that another ^C is a
// signal.
func (e *editor) next() (message, error) {
	for {
		e.fit()
		line, err := e.terminal.ReadLine()
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			e.restore()
			return message{}, err
		}
		if line == "" {
			continue
		}
		m, err := e.read(line)
		if err == nil {
			return m, nil
		}
		e.say("Not sent: " + err.Error())
	}
}

// read makes a message of a line.
func (e *editor) read(line string) (message, error) {
	if utf8.RuneCountInString(line) >= longest {
		return message{}, fmt.Errorf("a line can have %d characters here; pipe longer messages in", longest-1)
	}
	if !e.binary {
		return message{websocket.TextMessage, []byte(line)}, nil
	}
	payload, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
	if err != nil {
		return message{}, errors.New("with --binary a line is hexadecimal, such as 00 ff 7a")
	}
	return message{websocket.BinaryMessage, payload}, nil
}
