package connect

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/caddyws/caddy-websocket/client"
	"github.com/gorilla/websocket"
)

// How much of one message a terminal is shown, in bytes.
const (
	shownText   = 16 << 10
	shownBinary = 256
)

// form makes of a message what is printed of it.
type form func(message) []byte

// raw is the form for pipes and files.
func raw(m message) []byte {
	if m.kind == websocket.BinaryMessage {
		return m.payload
	}
	return append(m.payload, '\n')
}

// shown is the form for a terminal.
func shown(m message) []byte {
	if m.kind == websocket.BinaryMessage {
		return []byte(shownHex(m.payload) + "\n")
	}
	text := m.payload
	if len(text) > shownText {
		text = text[:shownText]
		for len(text) > 0 && !utf8.RuneStart(m.payload[len(text)]) { // never in the middle of a character
			text = text[:len(text)-1]
		}
	}
	return []byte(client.Printable(string(text)) + leftOut(len(m.payload), len(text)) + "\n")
}

func shownHex(payload []byte) string {
	some := payload[:min(len(payload), shownBinary)]
	return strings.TrimSpace(fmt.Sprintf("binary, %d bytes: % x%s", len(payload), some, leftOut(len(payload), len(some))))
}

// leftOut tells that a message is longer than what is shown of it.
func leftOut(all, shown int) string {
	if all == shown {
		return ""
	}
	return fmt.Sprintf(" … (%d of %d bytes are shown)", shown, all)
}

// below is the form for a terminal on which somebody types: the lines of a message
// cannot be taken for others.
func below(m message) []byte {
	text := strings.TrimSuffix(string(shown(m)), "\n")
	return []byte("< " + strings.ReplaceAll(text, "\n", "\n  ") + "\n")
}

// event is one line of the form for programs.
type event struct {
	Type        string    `json:"type"` // open, text, binary; at last close, cut or error
	Time        time.Time `json:"time"`
	Subprotocol string    `json:"subprotocol,omitempty"` // open: the agreed one
	Data        *string   `json:"data,omitempty"`        // text: as it came; binary: base64
	Code        int       `json:"code,omitempty"`        // close
	Reason      string    `json:"reason,omitempty"`      // close, cut, error
}

// asJSON is the form for programs.
func asJSON(m message) []byte {
	e := event{Type: "text"}
	var data string
	if m.kind == websocket.BinaryMessage {
		e.Type, data = "binary", encoded(m.payload)
	} else {
		data = string(m.payload)
	}
	e.Data = &data
	return e.line()
}

// ending is the last line. The error is that of a session.
func ending(err error) event {
	var (
		closed *client.Closed
		cut    *client.Cut
	)
	switch {
	case err == nil:
		return event{Type: "close", Code: websocket.CloseNormalClosure}
	case errors.As(err, &closed):
		return event{Type: "close", Code: closed.Code, Reason: closed.Reason}
	case errors.As(err, &cut):
		return event{Type: "cut", Reason: cut.Cause.Error()}
	default:
		return event{Type: "error", Reason: err.Error()}
	}
}

func encoded(p []byte) string { return base64.StdEncoding.EncodeToString(p) }

// line is the event in JSON. A terminal may be shown it: what it would obey is written
// as \u.
func (e event) line() []byte {
	e.Time = time.Now()
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers can be marshalled
	}
	var b strings.Builder
	for _, r := range string(text) {
		switch high, low := utf16.EncodeRune(r); {
		case unicode.IsGraphic(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String() + "\n")
}
