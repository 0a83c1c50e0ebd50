package caddyws

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/tally"
)

var (
	errReadOnly = errors.New("client may only read")
	errWrite    = errors.New("a matcher of write has failed")
	errExpired  = errors.New("permission has ended")
	errExpires  = errors.New("the value of expires is no time")
)

// judge tells what the client of a request may do, by whatever transport it comes, or why
// it may do nothing. It is asked once for each request: what it says holds for all of a
// connection.
func (h *Handler) judge(r *http.Request) (rights room.Rights, err error) {
	if h.Expires != "" {
		if rights.Expires, err = h.expiry(r); err != nil {
			return room.Rights{}, caddyhttp.Error(http.StatusUnauthorized, err)
		}
	}
	if h.write != nil {
		may, err := h.write.AnyMatchWithError(r)
		if err != nil {
			err = fmt.Errorf("%w: %s", errWrite, err.Error()) // the matcher does not choose the status
			return room.Rights{}, caddyhttp.Error(http.StatusInternalServerError, err)
		}
		rights.ReadOnly = !may
	}
	return rights, nil
}

// sender is the visitor that a request is which sends a message.
func (h *Handler) sender(r *http.Request, roomName string) (room.Visitor, error) {
	v, err := h.visitor(r, roomName)
	if err == nil && v.ReadOnly {
		tallies.App(h.appName).Part().Operation(tally.ReadOnly)
		err = caddyhttp.Error(http.StatusForbidden, errReadOnly)
	}
	return v, err
}

// expiry returns when the permission of a client ends, which is not yet. The zero time
// means never.
func (h *Handler) expiry(r *http.Request) (time.Time, error) {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	value, _ := repl.Get(strings.Trim(h.Expires, "{}"))
	text := caddy.ToString(value)
	if text == "" && h.ExpiresOptional {
		return time.Time{}, nil
	}
	at, ok := value.(time.Time)
	if !ok {
		at, ok = parseTime(text)
	}
	switch {
	case !ok:
		return time.Time{}, fmt.Errorf("%w: %q", errExpires, shown(text))
	case !at.After(time.Now()):
		return time.Time{}, errExpired
	}
	return at.Round(0), nil // compared with the clock, also if that is set
}

// hasEnded reports whether the permission of a client has ended.
func hasEnded(rights room.Rights) bool {
	return !rights.Expires.IsZero() && !rights.Expires.After(time.Now())
}

// maxTime is the end of the year 9999. What is later was meant otherwise, such as a number
// of milliseconds.
const maxTime = 253402300799

// parseTime reads a time, as seconds since 1970, perhaps with a fraction, or as RFC 3339
// has it.
func parseTime(text string) (at time.Time, ok bool) {
	if strings.Trim(text, "0123456789.") != "" { // no sign, exponent, infinity
		at, err := time.Parse(time.RFC3339, text)
		return at, err == nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || seconds > maxTime {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

// loadWrite loads the matchers of the option write. None at all would match everybody.
func (h *Handler) loadWrite(ctx caddy.Context) error {
	if h.WriteRaw == nil {
		return nil
	}
	if len(h.WriteRaw) == 0 {
		return errNoMatcher
	}
	for _, set := range h.WriteRaw {
		if len(set) == 0 {
			return errNoMatcher
		}
	}
	sets, err := ctx.LoadModule(h, "WriteRaw")
	if err != nil {
		return fmt.Errorf("loading matchers of write: %w", err)
	}
	if err := h.write.FromInterface(sets); err != nil {
		return fmt.Errorf("loading matchers of write: %w", err)
	}
	return nil
}

var errNoMatcher = errors.New("write has a set without matchers, or none: without the option everybody may write")

// checkExpires refuses what is not one whole placeholder.
func (h *Handler) checkExpires() error {
	switch name := strings.TrimSuffix(strings.TrimPrefix(h.Expires, "{"), "}"); {
	case h.Expires == "" && h.ExpiresOptional:
		return errors.New("expires_optional is of no use without expires")
	case h.Expires != "" && (h.Expires != "{"+name+"}" || name == "" || strings.ContainsAny(name, "{} \t")):
		return fmt.Errorf("expires is %q, expected one placeholder such as {http.auth.user.expires}", h.Expires)
	}
	return nil
}

// parseWrite reads `write @name | /path | <matcher> <args...> | { <matchers> }`.
func (h *Handler) parseWrite(helper httpcaddyfile.Helper) options.Reader {
	return func(d *caddyfile.Dispenser) error {
		onTheLine := d.CountRemainingArgs() > 0
		set, whole, err := helper.MatcherToken()
		switch {
		case err != nil:
			return d.Errf("option \"write\": %v", err)
		case !whole:
			if onTheLine {
				d.Prev()
			}
			if set, err = caddyhttp.ParseCaddyfileNestedMatcherSet(d); err != nil {
				return err
			}
		}
		if len(set) == 0 {
			return d.Err("option \"write\" needs a matcher; without the option everybody may write")
		}
		h.WriteRaw = caddyhttp.RawMatcherSets{set}
		return nil
	}
}

// parseExpires reads `expires <placeholder> [optional]`.
func (h *Handler) parseExpires(d *caddyfile.Dispenser) error {
	if err := options.Text(&h.Expires)(d); err != nil {
		return err
	}
	if err := h.checkExpires(); err != nil {
		return d.WrapErr(err)
	}
	if !d.NextArg() {
		return nil
	}
	if d.Val() != "optional" {
		return d.Errf("option \"expires\" has nothing but optional behind the placeholder, found %q", d.Val())
	}
	h.ExpiresOptional = true
	return nil
}
