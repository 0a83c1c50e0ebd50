// Package sum is the app that keeps a running total and pushes it to everybody.
//
// A message is a number, as plain text or in an object with the field value.
// The new total goes to the sender as the reply and to everybody else in the
// room as the update. Arithmetic is exact (package aggregate); what is not a
// number, or not within the bounds that the configuration sets, is answered to
// the sender alone and changes nothing.
package sum

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/options/decimal"
)

func init() { caddy.RegisterModule(App{}) }

// App keeps the total of all numbers that were sent to the room. A number is
// decimal, with at most 30 digits before and after the point; a total has at
// most 60 before it.
type App struct {
	// Send the total to a client when it joins. Default: false. Clients that
	// speak the subprotocol json are always sent it.
	Greet bool `json:"greet,omitempty"`

	// Tell the new total to the sender only. Default: false, everybody in the
	// room is told.
	ReplyOnly bool `json:"reply_only,omitempty"`

	// Tell the others at most one new total in this time; the last one is always
	// told. From 10ms to 1m. Default: 0, every total is told as soon as they can
	// take it.
	Interval caddy.Duration `json:"every,omitempty"`

	Bounds
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.websocket.apps.sum",
		New: func() caddy.Module { return new(App) },
	}
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	sum {
//		greet
//		reply_only
//		every <duration>
//		min   <total>
//		max   <total>
//		step  <amount>...
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{
		"greet":      options.Flag(&a.Greet),
		"reply_only": options.Flag(&a.ReplyOnly),
		"every":      options.Duration(&a.Interval),
		"min":        decimal.Option(&a.Min),
		"max":        decimal.Option(&a.Max),
		"step":       decimal.List(&a.Step),
	}.App(d)
}

// Bounds of the option every.
const (
	minInterval = caddy.Duration(10 * time.Millisecond)
	maxInterval = caddy.Duration(time.Minute)
)

// Validate judges the options every, min, max and step.
func (a *App) Validate() error {
	var err error
	if a.Interval != 0 && (a.Interval < minInterval || a.Interval > maxInterval) {
		err = fmt.Errorf("every is %v, expected 10ms to 1m", time.Duration(a.Interval))
	}
	return errors.Join(err, a.validate())
}

// Every is the option every.
func (a *App) Every() time.Duration { return time.Duration(a.Interval) }

// Receive adds the number in m to the total.
func (*App) Receive(c apps.Conn, m apps.Message) error {
	if m.Binary {
		return apps.Refuse(errBinary)
	}
	number, err := numberIn(m.Data)
	if err != nil {
		return apps.Refuse(err)
	}
	c.Room().Apply(c, number)
	return nil
}

// NewState returns the total of a new room: 0.
func (a *App) NewState() apps.State {
	return &total{silent: a.ReplyOnly, bounds: &a.Bounds}
}

// Greets reports whether c is sent the total on joining.
func (a *App) Greets(apps.Conn) bool { return a.Greet }

// Subprotocols lists json.
func (*App) Subprotocols() []string { return []string{"json"} }

// Inline reports that Receive never blocks.
func (*App) Inline() {}

// Interface guards
var (
	_ caddy.Module          = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ apps.App              = (*App)(nil)
	_ apps.Stateful         = (*App)(nil)
	_ apps.Greeter          = (*App)(nil)
	_ apps.Paced            = (*App)(nil)
	_ caddy.Validator       = (*App)(nil)
	_ apps.Protocols        = (*App)(nil)
	_ apps.Inline           = (*App)(nil)
)
