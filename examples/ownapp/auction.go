// Package auction is an app in which the highest bid wins, once nobody has bid more for
// five minutes.
package auction

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/options"
)

func init() { caddy.RegisterModule(App{}) }

// App is an auction for each room. A message is a bid, in whole euros.
type App struct{}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.websocket.apps.auction", New: func() caddy.Module { return new(App) }}
}

// UnmarshalCaddyfile reads `auction`, which has no options.
func (*App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return options.Set{}.App(d) }

// Receive takes a bid of a logged-in user, or of nobody in particular.
func (*App) Receive(c apps.Conn, m apps.Message) error {
	euros, err := strconv.ParseUint(string(m.Data), 10, 32)
	if err != nil {
		return apps.Refuse(errors.New("a bid is a number of euros, such as 100"))
	}
	operation, err := json.Marshal(auction{Euros: euros, Bidder: cmp.Or(c.User(), c.ID())})
	c.Room().Apply(c, operation)
	return err
}

// NewState returns the auction of a new room.
func (*App) NewState() apps.State { return new(auction) }

// Greets: everybody is shown the highest bid on joining.
func (*App) Greets(apps.Conn) bool { return true }

// Subprotocols lists json: clients may choose between text and objects.
func (*App) Subprotocols() []string { return []string{"json"} }

// Inline promises that Receive never blocks.
func (*App) Inline() {}

// auction is the state of a room: the highest bid, and whose it is.
type auction struct {
	Euros  uint64     `json:"euros"`
	Bidder string     `json:"bidder"`
	Ends   *time.Time `json:"ends,omitempty"` // unless there is a higher bid before; nil without one
	Sold   bool       `json:"sold,omitempty"`
}

// patience is how long a bid must be the highest.
const patience = 5 * time.Minute

// Wake is when the auction ends, also if nobody is in the room then.
func (a *auction) Wake() time.Time {
	if a.Ends == nil || a.Sold {
		return time.Time{}
	}
	return *a.Ends
}

// Apply accepts a bid that is higher than the highest one, or ends the auction.
func (a *auction) Apply(op apps.Op) (apps.Outcome, error) {
	if op.Wake {
		a.Sold = true
		return apps.Outcome{Update: a.View()}, nil
	}
	var bid auction
	if err := json.Unmarshal(op.Data, &bid); err != nil {
		return apps.Outcome{}, err
	}
	switch {
	case a.Sold || a.Ends != nil && op.At.After(*a.Ends):
		return apps.Outcome{}, errors.New("too late, it is sold")
	case bid.Euros <= a.Euros:
		return apps.Outcome{}, fmt.Errorf("too low, %d is bid already", a.Euros)
	}
	bid.Ends = new(op.At.Add(patience))
	*a = bid
	return apps.Outcome{Reply: a.View(), Update: a.View()}, nil
}

// View is the highest bid, in both formats.
func (a *auction) View() apps.Body {
	object, _ := json.Marshal(a) // a number and a string: never fails
	text := fmt.Appendf(nil, "%d by %s", a.Euros, cmp.Or(a.Bidder, "nobody"))
	if a.Sold {
		text = append(text, ", sold"...)
	}
	return apps.Body{Text: text, JSON: object}
}

// MarshalBinary and UnmarshalBinary store the auction and bring it back.
func (a *auction) MarshalBinary() ([]byte, error) { return json.Marshal(a) }
func (a *auction) UnmarshalBinary(p []byte) error { return json.Unmarshal(p, a) }
