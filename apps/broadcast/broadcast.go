// Package broadcast is the app that passes every message on to everybody in the
// room: a chat.
package broadcast

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/options"
)

func init() { caddy.RegisterModule(App{}) }

// App sends every message to everybody in the room.
type App struct {
	// What is sent for a text message: a text with the placeholders {message},
	// {user} and {id}, of which the last two stand for the sender's user name
	// and connection. They are replaced in one pass: what a client sent is
	// never looked into. Binary messages are passed on as they are, and so is
	// what members are told that speak the subprotocol json. Default: {message}.
	Format string `json:"format,omitempty"`

	// Leave the sender out. Default: false, the sender gets his message too.
	Others bool `json:"others,omitempty"`
}

const messageOnly = "{message}"

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.websocket.apps.broadcast",
		New: func() caddy.Module { return new(App) },
	}
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	broadcast [<format>] {
//		others
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // its name
	if d.NextArg() {
		if a.Format = d.Val(); a.Format == "" {
			return d.Err("the format of broadcast is empty")
		}
	}
	if strings.IndexAny(a.Format, "/@") == 0 && !strings.ContainsAny(a.Format, " {") {
		return d.Errf("the format %q looks like a matcher", a.Format)
	}
	if d.NextArg() {
		return d.Errf("unexpected argument %q of broadcast, put a format with blanks into quotes", d.Val())
	}
	return options.Set{"others": options.Flag(&a.Others)}.Block(d, "broadcast")
}

var (
	placeholder = regexp.MustCompile(`\{[a-z_.]+\}`)
	known       = []string{messageOnly, "{user}", "{id}"}
)

// Validate refuses a format with a misspelt placeholder.
func (a *App) Validate() error {
	for _, name := range placeholder.FindAllString(a.Format, -1) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("the format has the unknown placeholder %s, expected one of %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// Receive passes m on.
func (a *App) Receive(c apps.Conn, m apps.Message) error {
	if !m.Binary && c.Subprotocol() == subprotocol {
		text, err := textOf(m.Data)
		if err != nil {
			return apps.Refuse(err)
		}
		m.Data = text
	}
	if !m.Binary && a.Format != "" && a.Format != messageOnly {
		m.JSON = dataField(m.Data)
		m.Data = a.format(c, m.Data)
	}
	if a.Others {
		c.Room().Publish(m, c)
	} else {
		c.Room().Publish(m)
	}
	return nil
}

// subprotocol is that whose messages are objects: a client sends {"data": "hello"}, and
// is told with each message who has sent it.
const subprotocol = "json"

var errData = errors.New(`a message is an object with a text as the field data, such as {"data":"hello"}`)

// textOf returns the field data of an object.
func textOf(object []byte) ([]byte, error) {
	var fields map[string]json.RawMessage // and not a struct, which would take "DATA" for "data"
	var text *string
	if json.Unmarshal(object, &fields) != nil || json.Unmarshal(fields["data"], &text) != nil || text == nil {
		return nil, errData
	}
	return []byte(*text), nil
}

// dataField returns an object with a text as the field data. Most texts need no escapes.
func dataField(text []byte) []byte {
	p := append(make([]byte, 0, len(text)+16), `{"data":`...)
	if bytes.ContainsFunc(text, needsEscape) {
		quoted, _ := json.Marshal(string(text)) // it always can be
		p = append(p, quoted...)
	} else {
		p = append(append(append(p, '"'), text...), '"')
	}
	return append(p, '}')
}

// needsEscape reports whether a character of a text cannot stand in JSON as it is (RFC 8259,
// section 7), or is none.
func needsEscape(c rune) bool { return c < ' ' || c == '"' || c == '\\' || c == utf8.RuneError }

// Subprotocols is json.
func (*App) Subprotocols() []string { return []string{subprotocol} }

// format fills in the placeholders. strings.Replacer goes through its text once.
func (a *App) format(c apps.Conn, message []byte) []byte {
	user := strings.ToValidUTF8(c.User(), "\uFFFD")
	fill := strings.NewReplacer(messageOnly, string(message), "{user}", user, "{id}", c.ID())
	return []byte(fill.Replace(a.Format))
}

// Inline reports that Receive never blocks.
func (*App) Inline() {}

// Interface guards
var (
	_ caddy.Module          = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddy.Validator       = (*App)(nil)
	_ apps.App              = (*App)(nil)
	_ apps.Inline           = (*App)(nil)
	_ apps.Protocols        = (*App)(nil)
)
