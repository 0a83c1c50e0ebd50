package caddyws

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// banned is who is refused for a while: a user, or an address as route.Network counts it.
type banned struct {
	user    string
	network netip.Addr
}

// banList is those that an operator has refused. It lives as long as the process, whatever
// its configuration.
type banList struct {
	any atomic.Bool // there has been one: before that nobody is looked up

	mu    sync.RWMutex
	until map[banned]time.Time // guarded by mu
}

var refusedForNow = banList{until: make(map[banned]time.Time)}

// Bounds of the bans: together they take a few MiB.
const (
	maxBans       = 10000
	maxBannedUser = maxParameter // bytes; one with a longer name is refused by address
)

var (
	errBanned      = errors.New("refused for a while by an operator")
	errTooManyBans = fmt.Errorf("%d bans hold already: that is the most", maxBans)
)

// add refuses all of these until a time, or, with an error, none of them.
func (b *banList) add(who []banned, until time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetEnded(time.Now())
	added := make(map[banned]bool)
	for _, w := range who {
		if _, ok := b.until[w]; !ok {
			added[w] = true
		}
	}
	if len(b.until)+len(added) > maxBans {
		return errTooManyBans
	}
	for _, w := range who {
		b.until[w] = until
	}
	b.any.Store(true)
	return nil
}

// forgetEnded forgets the bans that have ended. mu is held.
func (b *banList) forgetEnded(now time.Time) {
	for w, until := range b.until {
		if !until.After(now) {
			delete(b.until, w)
		}
	}
}

// lift ends a ban, and reports whether there was one.
func (b *banList) lift(who banned) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.until[who]
	delete(b.until, who)
	return ok && until.After(time.Now())
}

// refuses reports whether a client with a user, or none, and an address is refused.
func (b *banList) refuses(user, ip string) bool {
	if !b.any.Load() {
		return false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	now := time.Now()
	return user != "" && b.until[banned{user: user}].After(now) ||
		b.until[banned{network: route.Network(ip)}].After(now)
}

// refusesRequest reports whether the client of a request is refused.
func (b *banList) refusesRequest(r *http.Request) bool {
	return b.any.Load() && b.refuses(userOf(r), clientIP(r))
}

// shownBan is a ban as the admin API shows it.
type shownBan struct {
	User  string    `json:"user,omitempty"`
	IP    string    `json:"ip,omitempty"` // for IPv6 the first address of the network
	Until time.Time `json:"until"`
}

// all returns the bans that hold, those that end first before the others.
func (b *banList) all() []shownBan {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetEnded(time.Now())
	who := slices.SortedFunc(maps.Keys(b.until), func(v, w banned) int {
		return cmp.Or(b.until[v].Compare(b.until[w]), cmp.Compare(v.user, w.user), v.network.Compare(w.network))
	})
	all := make([]shownBan, 0, len(who))
	for _, w := range who {
		all = append(all, w.show(b.until[w]))
	}
	return all
}

func (w banned) show(until time.Time) shownBan {
	shown := shownBan{User: w.user, Until: until.UTC().Truncate(time.Second)}
	if w.network.IsValid() {
		shown.IP = w.network.String()
	}
	return shown
}

// field names who is refused in the log.
func (w banned) field() zap.Field {
	if w.user != "" {
		return zap.String("user", room.Printable(w.user))
	}
	return zap.Stringer("client_ip", w.network)
}
