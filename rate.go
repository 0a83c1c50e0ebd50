package caddyws

import (
	"math"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/time/rate"
)

// rates bounds how often one user, or one address where there are no users, may
// send a message by a plain request. Connections have a limit of their own.
type rates struct {
	limit rate.Limit
	burst int

	mu sync.Mutex
	by map[string]*rate.Limiter // guarded by mu
}

// maxRates bounds how many clients are remembered: then those are forgotten who
// may send a whole burst again.
const maxRates = 10000

func newRates(perSecond float64, burst int) *rates {
	return &rates{limit: rate.Limit(perSecond), burst: burst, by: make(map[string]*rate.Limiter)}
}

// allow tells whether the client may send one more message.
func (s *rates) allow(client string) bool {
	if s.limit == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.by[client]
	if !ok {
		s.makeRoom()
		l = rate.NewLimiter(s.limit, s.burst)
		s.by[client] = l
	}
	return l.Allow()
}

// makeRoom forgets clients if there are too many, all if need be.
func (s *rates) makeRoom() {
	if len(s.by) < maxRates {
		return
	}
	for client, l := range s.by {
		if l.Tokens() >= float64(s.burst) {
			delete(s.by, client)
		}
	}
	if len(s.by) >= maxRates {
		clear(s.by)
	}
}

// rateKey names the client of a request for its rate.
func rateKey(r *http.Request) string {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if user, _ := repl.GetString("http.auth.user.id"); user != "" {
		return "user " + user
	}
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return "ip " + ip
}

// defaultBurst is what may be sent at once where only a rate is given.
func defaultBurst(perSecond float64) int { return max(1, int(math.Ceil(perSecond))) }
