package caddyws

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Bounds of a ban.
const (
	minBan = time.Second
	maxBan = time.Duration(maxSpan)
)

// closeRequest is what DELETE of connections asks for.
type closeRequest struct {
	filter hub.Filter
	code   frames.CloseCode
	reason string
	ban    time.Duration // 0 for none
}

// closeAnswer is what has come of it.
type closeAnswer struct {
	Closed int  `json:"closed"`
	Banned *int `json:"banned,omitempty"` // users and addresses; nil if none was to be
}

// deleteConnections closes connections, and may refuse their clients for a while.
func deleteConnections(a *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "id", "route", "room", "user", "ip", "code", "reason", "ban")
	c := p.closeRequest()
	if err := p.check(); err != nil {
		return err
	}
	var answer closeAnswer
	if c.ban > 0 {
		n, err := a.ban(c)
		if err != nil {
			return apiError(http.StatusInsufficientStorage, err)
		}
		answer.Banned = &n
	}
	for _, m := range a.hub.Members(c.filter) { // after the ban: who comes in now is refused
		m.Close(c.code, c.reason)
		answer.Closed++
	}
	logger().Info("connections closed by an operator", zap.Int("connections", answer.Closed), zap.Uint16("code", uint16(c.code)), zap.String("reason", c.reason))
	return writeJSON(w, answer)
}

// closeRequest reads the parameters.
func (p *parameters) closeRequest() closeRequest {
	c := closeRequest{filter: p.members(), code: p.closeCode(), reason: p.closeReason(), ban: p.ban()}
	if c.filter == (hub.Filter{}) {
		p.fault("nothing says which connections, expected one of id, route, room, user, ip")
	}
	if _, ok := c.banned(); c.ban > 0 && !ok {
		p.fault("ban needs one of id, room, user, ip, and only one")
	}
	return c
}

// closeCode is the close code; by default that of a client that is refused.
func (p *parameters) closeCode() frames.CloseCode {
	if !p.values.Has("code") {
		return frames.PolicyViolation
	}
	n, err := strconv.ParseUint(p.text("code"), 10, 16)
	if err != nil || !frames.CloseCode(n).OnWire() {
		p.fault("code is %q, expected one that a close frame may have: 1000 to 1003, 1007 to 1014, 3000 to 4999", p.text("code"))
	}
	return frames.CloseCode(n)
}

// closeReason is the reason that clients are told, or empty.
func (p *parameters) closeReason() string {
	reason := p.text("reason")
	if len(reason) > frames.MaxReason || !isPrintable(reason) {
		p.fault("reason must be at most %d bytes of printable text", frames.MaxReason)
	}
	return reason
}

// ban is for how long clients are refused, 0 if they are not.
func (p *parameters) ban() time.Duration {
	if !p.values.Has("ban") {
		return 0
	}
	d, err := caddy.ParseDuration(p.text("ban"))
	if err != nil || d < minBan || d > maxBan {
		p.fault("ban is %q, expected a duration from 1s to %v", p.text("ban"), readable(maxSpan))
	}
	return d
}

// banned returns who is to be refused by name; nobody if that depends on the connections.
// It reports false if the filter says more, or nothing, of that.
func (c closeRequest) banned() (who []banned, ok bool) {
	switch f := c.filter; f {
	case hub.Filter{Number: f.Number}, hub.Filter{Room: f.Room}:
		return nil, true
	case hub.Filter{User: f.User}:
		return []banned{{user: f.User}}, true
	case hub.Filter{Network: f.Network}:
		return []banned{{network: f.Network}}, true
	}
	return nil, false
}

// ban refuses those that are named, or the clients of the connections, and returns how
// many they are.
func (a *App) ban(c closeRequest) (n int, err error) {
	who, _ := c.banned()
	if who == nil {
		who = clientsOf(a.hub.Members(c.filter))
	}
	until := time.Now().Add(c.ban)
	if err := refusedForNow.add(who, until); err != nil {
		return 0, err
	}
	for _, w := range who {
		logger().Info("client is refused from now on", w.field(), zap.Time("until", until))
	}
	return len(who), nil
}

// clientsOf returns the clients of members, each once: the user, or the address of one
// without a user. One that has neither is left out.
func clientsOf(members []*room.Member) (who []banned) {
	seen := make(map[banned]bool)
	for _, m := range members {
		w := banned{user: m.User()}
		if w.user == "" || len(w.user) > maxBannedUser {
			w = banned{network: route.Network(m.ClientIP())}
		}
		if w != (banned{}) && !seen[w] {
			seen[w] = true
			who = append(who, w)
		}
	}
	return who
}

// banPage is a page of bans.
type banPage struct {
	Bans []shownBan `json:"bans"`
	Next string     `json:"next,omitempty"` // is the parameter after of the next page; empty if there is none
}

// getBans lists who is refused.
func getBans(_ *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "limit", "after")
	after, limit := p.position(), p.limit()
	if err := p.check(); err != nil {
		return err
	}
	bans, next := pageAt(refusedForNow.all(), after, limit)
	return writeJSON(w, banPage{bans, next})
}

// deleteBan ends a ban.
func deleteBan(_ *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "user", "ip")
	who := banned{p.text("user"), p.network()}
	if (who.user != "") == who.network.IsValid() && p.err == nil {
		p.fault("expected one of user, ip")
	}
	if err := p.check(); err != nil {
		return err
	}
	if !refusedForNow.lift(who) {
		return apiError(http.StatusNotFound, errors.New("there is no such ban"))
	}
	logger().Info("client is not refused any more", who.field())
	w.WriteHeader(http.StatusNoContent)
	return nil
}
