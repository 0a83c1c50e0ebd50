package meter

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/options"
)

func init() { caddy.RegisterModule(App{}) }

// App folds the readings that are sent to the room, and tells everybody. A reading is a
// number, or an object with a number and perhaps a key, which names its source.
type App struct {
	// The field of an object that has the number: a JSON number, or a string with
	// one. "a.b" names the field b of the object in the field a. Default: value.
	Value string `json:"value,omitempty"`

	// The field of an object that names the source of the reading: a string of 1 to
	// 64 of A-Z, a-z, 0-9 and . _ : -, or a number. Default: key.
	Key string `json:"key,omitempty"`

	// How long a reading counts, from 1s to 7d. Default: 0, for ever.
	Window caddy.Duration `json:"window,omitempty"`

	// Count only the newest reading of each key. Needs window: a key of which nothing
	// came in that time is gone, and its alerts end. Default: false.
	Latest bool `json:"latest,omitempty"`

	// How many keys there may be at the same time; readings of one more are refused.
	// From 1 to 1000; to 100 with a window and alerts for each key, but without
	// latest. Multiplied by the number of alerts for each key it must not exceed 1000.
	// Default: 100.
	MaxKeys int `json:"max_keys,omitempty"`

	// Send the folds to a client when it joins. Default: false. Clients that speak
	// the subprotocol json are always sent them.
	Greet bool `json:"greet,omitempty"`

	// Tell the others the folds at most once in this time; the last ones are always
	// told. From 10ms to 1m. Default: 0, they are told as soon as the others can take
	// them.
	Interval caddy.Duration `json:"every,omitempty"`

	// What everybody, or the sources concerned, are told when a fold goes beyond a
	// threshold and when it comes back. At most 32. Default: none.
	Alerts []Alert `json:"alerts,omitempty"`

	rules *rules // what the options come to
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.websocket.apps.meter",
		New: func() caddy.Module { return new(App) },
	}
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	meter {
//		value    <field>
//		key      <field>
//		window   <duration>
//		latest
//		max_keys <n>
//		greet
//		every    <duration>
//		alert    <name> [each] <fold> above|below <threshold> {
//			clear    <level>
//			cooldown <duration>
//			to       room|key
//			message  <text>
//		}
//	}
//
// There may be several alerts.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return options.Set{
		"value":    options.Text(&a.Value),
		"key":      options.Text(&a.Key),
		"window":   options.Duration(&a.Window),
		"latest":   options.Flag(&a.Latest),
		"max_keys": options.Count(&a.MaxKeys),
		"greet":    options.Flag(&a.Greet),
		"every":    options.Duration(&a.Interval),
		"alert":    a.readAlert,
	}.App(d, "alert")
}

func (a *App) readAlert(d *caddyfile.Dispenser) error {
	var alert Alert
	err := alert.unmarshal(d)
	a.Alerts = append(a.Alerts, alert)
	return err
}

// Provision judges the options and makes the rules of them.
func (a *App) Provision(caddy.Context) error {
	a.setDefaults()
	if err := a.validate(); err != nil {
		return err
	}
	a.rules = newRules(a)
	return nil
}

func (a *App) setDefaults() {
	if a.Value == "" {
		a.Value = "value"
	}
	if a.Key == "" {
		a.Key = "key"
	}
	if a.MaxKeys == 0 {
		a.MaxKeys = 100
	}
}

// Every is the option every.
func (a *App) Every() time.Duration { return time.Duration(a.Interval) }

// Greets reports whether c is sent the folds on joining.
func (a *App) Greets(apps.Conn) bool { return a.Greet }

var errBinary = errors.New("binary message, send a reading as text")

// Receive adds the reading in m.
func (a *App) Receive(c apps.Conn, m apps.Message) error {
	if m.Binary {
		return apps.Refuse(errBinary)
	}
	r, err := a.rules.fields.read(m.Data)
	if err != nil {
		return apps.Refuse(err)
	}
	c.Room().Apply(c, r.operation())
	return nil
}

// NewState returns the state of a new room: no readings.
func (a *App) NewState() apps.State { return newState(a.rules) }

// AlertNames lists the names of the alerts.
func (a *App) AlertNames() (names []string) {
	for i := range a.Alerts {
		names = append(names, a.Alerts[i].Name)
	}
	return names
}

// Subprotocols lists json.
func (*App) Subprotocols() []string { return []string{"json"} }

// Inline reports that Receive never blocks.
func (*App) Inline() {}

// Interface guards
var (
	_ caddy.Module          = (*App)(nil)
	_ caddy.Provisioner     = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ apps.App              = (*App)(nil)
	_ apps.Stateful         = (*App)(nil)
	_ apps.Greeter          = (*App)(nil)
	_ apps.Paced            = (*App)(nil)
	_ apps.Protocols        = (*App)(nil)
	_ apps.Inline           = (*App)(nil)
	_ apps.Alerter          = (*App)(nil)
)
