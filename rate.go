package caddyws

import (
	"math"
	"net/http"
	"sync"

	"golang.org/x/time/rate"

	"github.com/caddyws/caddy-websocket/route"
)

// rates bounds how often one user, or one network (route.Network) where there are
// no users, may send a message by a plain request. Connections have a limit of their own.
type rates struct {
	limit rate.Limit
	burst int

	mu sync.Mutex
	by map[string]*rate.Limiter // guarded by mu
}

// maxRates bounds how many clients are remembered.
const maxRates = 10000

func newRates(perSecond float64, burst int) *rates {
	return &rates{limit: rate.Limit(perSecond), burst: burst, by: make(map[string]*rate.Limiter)}
}

// allow reports whether the client may send one more message.
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

// makeRoom forgets a client if there are too many: of some, one who may send a
// whole burst again and so loses nothing, else the last looked at.
func (s *rates) makeRoom() {
	if len(s.by) < maxRates {
		return
	}
	var forgotten string
	tries := 0
	for client, l := range s.by {
		forgotten = client
		if tries++; tries == 16 || l.Tokens() >= float64(s.burst) {
			break
		}
	}
	delete(s.by, forgotten)
}

// rateKey names the client of a request for its rate.
func rateKey(r *http.Request) string {
	if user := userOf(r); user != "" {
		return "user " + user
	}
	return "ip " + route.Network(clientIP(r)).String()
}

// defaultBurst is what may be sent at once where only a rate is given.
func defaultBurst(perSecond float64) int { return max(1, int(math.Ceil(perSecond))) }
