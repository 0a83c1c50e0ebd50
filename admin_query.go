package caddyws

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Bounds of the parameters of the admin API.
const (
	maxParameter = 1024 // bytes of a value
	defaultPage  = 100  // elements
	maxPage      = 1000
)

// parameters are those of a request to the admin API, each at most once. The methods
// read one and note what is wrong with it: err has all of that.
type parameters struct {
	values url.Values
	err    error
}

// readParameters reads the parameters of a request, which may have the given ones.
func readParameters(r *http.Request, allowed ...string) *parameters {
	p := new(parameters)
	var err error
	if p.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		p.fault("query cannot be read: %w", err)
	}
	for name, values := range p.values {
		switch {
		case !slices.Contains(allowed, name):
			p.fault("unknown parameter %q, expected one of %s", name, strings.Join(allowed, ", "))
		case len(values) > 1:
			p.fault("parameter %q is given twice", name)
		case values[0] == "":
			p.fault("parameter %q is empty", name)
		case len(values[0]) > maxParameter:
			p.fault("parameter %q has more than %d bytes", name, maxParameter)
		}
	}
	return p
}

func (p *parameters) fault(format string, args ...any) {
	p.err = errors.Join(p.err, fmt.Errorf(format, args...))
}

// check returns what is wrong, as the admin API answers it.
func (p *parameters) check() error {
	if p.err == nil {
		return nil
	}
	return apiError(http.StatusBadRequest, p.err)
}

func (p *parameters) text(name string) string { return p.values.Get(name) }

// required is text for a parameter that must be there.
func (p *parameters) required(name string) string {
	if !p.values.Has(name) {
		p.fault("parameter %q is missing", name)
	}
	return p.text(name)
}

// limit is how many elements a page may have.
func (p *parameters) limit() int {
	if !p.values.Has("limit") {
		return defaultPage
	}
	n, err := strconv.Atoi(p.text("limit"))
	if err != nil || n < 1 || n > maxPage {
		p.fault("limit is %q, expected 1 to %d", p.text("limit"), maxPage)
	}
	return n
}

// position is how many elements of a short list stand before a page.
func (p *parameters) position() int {
	if !p.values.Has("after") {
		return 0
	}
	n, err := strconv.Atoi(p.text("after"))
	if err != nil || n < 0 {
		p.fault("after is %q, expected what next was on the page before", p.text("after"))
	}
	return n
}

// pageAt returns a page of a list, and the parameter after of the next page, if there is
// one.
func pageAt[T any](all []T, position, limit int) (page []T, next string) {
	start := min(position, len(all))
	end := min(start+limit, len(all))
	if end < len(all) {
		next = strconv.Itoa(end)
	}
	return all[start:end], next
}

// room is the name of a room, with what it begins with; empty if there is none.
func (p *parameters) room() string {
	name := p.text("room")
	bare := strings.TrimPrefix(strings.TrimPrefix(name, room.NamedByURL), room.NamedByTemplate)
	if name != "" && bare == name {
		p.fault("room is %q, expected a name as GET /websocket/rooms shows it: %s and a URL, or %s and a name", name, room.NamedByURL, room.NamedByTemplate)
	}
	return name
}

// id is the number of the member whose connection has the ID of a parameter; 0 if there
// is none.
func (p *parameters) id(name string) uint64 {
	if !p.values.Has(name) {
		return 0
	}
	n, ok := room.NumberOf(p.text(name))
	if !ok || n == 0 {
		p.fault("%s is %q, expected the id of a connection", name, p.text(name))
	}
	return n
}

// network is what an address counts as; not valid if there is none.
func (p *parameters) network() netip.Addr {
	if !p.values.Has("ip") {
		return netip.Addr{}
	}
	network := route.Network(p.text("ip"))
	if !network.IsValid() {
		p.fault("ip is %q, expected an address", p.text("ip"))
	}
	return network
}

// members are the connections that the parameters choose.
func (p *parameters) members() hub.Filter {
	return hub.Filter{Number: p.id("id"), Route: p.text("route"), Room: p.room(), User: p.text("user"), Network: p.network()}
}
