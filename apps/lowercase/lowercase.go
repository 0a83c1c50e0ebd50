// Package lowercase is the app that answers a text with its lower case.
package lowercase

import (
	"bytes"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/options"
)

func init() { caddy.RegisterModule(App{}) }

// App answers every text message with its lower case, as Unicode has it for text
// of no particular language (The Unicode Standard, section 3.13, toLowercase): the
// same as String.prototype.toLowerCase of browsers. A binary message closes the
// connection with 1003.
type App struct{}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.websocket.apps.lowercase",
		New: func() caddy.Module { return new(App) },
	}
}

// UnmarshalCaddyfile reads `lowercase`; the app has no options.
func (*App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{}.App(d)
}

// Receive answers m.
func (*App) Receive(c apps.Conn, m apps.Message) error {
	if m.Binary {
		return &apps.CloseError{Code: 1003, Reason: "lowercase takes text only"}
	}
	c.Send(apps.Message{Data: lower(m.Data)})
	return nil
}

// The letters whose lower case is not one letter, always the same: sigma has
// another form at the end of a word, and the dot of İ becomes a letter of its own.
var (
	sigma   = []byte("Σ")
	dottedI = []byte("İ")
)

// lower returns the lower case of a text, which is valid UTF-8, in new memory. What
// has none of the letters above, as most text does, needs no look at its words,
// which costs several times as much.
func lower(text []byte) []byte {
	if !bytes.Contains(text, sigma) && !bytes.Contains(text, dottedI) {
		return bytes.ToLower(text)
	}
	// All in one call, since a Caser that is called again has forgotten in which
	// word it was. At most two bytes become three.
	dst := make([]byte, len(text)+len(text)/2+1)
	caser := cases.Lower(language.Und) // may keep state: not for two goroutines
	n, _, _ := caser.Transform(dst, text, true)
	return dst[:n]
}

// Pure reports that Receive only answers.
func (*App) Pure() {}

// Inline reports that Receive never blocks.
func (*App) Inline() {}

// Interface guards
var (
	_ caddy.Module          = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ apps.App              = (*App)(nil)
	_ apps.Pure             = (*App)(nil)
	_ apps.Inline           = (*App)(nil)
)
