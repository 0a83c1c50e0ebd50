package room

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/replica"
)

// claims is the names that a member has claimed. It is guarded by Member.mu.
type claims struct {
	names  []string
	fresh  []string // those of the names whose standing events a member that arrives is still to be told
	warned bool     // that there was one more than a member may have
}

var errClaim = fmt.Errorf("a name that is claimed has 1 to %d of A to Z, a to z, 0 to 9 and ._:-", apps.MaxClaim)

// CheckClaims reports what is wrong with names that a client claims when it connects.
func CheckClaims(names []string) error {
	if len(names) > apps.MaxClaims {
		return fmt.Errorf("at most %d names can be claimed", apps.MaxClaims)
	}
	for _, name := range names {
		if !isClaim(name) {
			return errClaim
		}
	}
	return nil
}

// isClaim reports whether a name can be claimed.
func isClaim(name string) bool {
	return name != "" && len(name) <= apps.MaxClaim && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._:-", c)
	})
}

// claimed returns the names that m has claimed.
func (m *Member) claimed() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.extras == nil || m.extras.claims == nil {
		return nil
	}
	return m.extras.claims.names
}

// noteFresh notes that m, which was not in the room, is still to be told what stands for a name
// that it has just claimed.
func (m *Member) noteFresh(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.extras.claims.fresh = append(m.extras.claims.fresh, name)
}

// takeFresh returns the names that were noted since it was last called.
func (m *Member) takeFresh() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.extras == nil || m.extras.claims == nil {
		return nil
	}
	names, m.extras.claims.fresh = m.extras.claims.fresh, nil
	return names
}

// claim has m claim a name and reports whether it did not have it, and has it now.
func (m *Member) claim(name string) (added bool) {
	m.mu.Lock()
	x := m.needExtras()
	if x.claims == nil {
		x.claims = new(claims)
	}
	added, warn := x.claims.add(name)
	m.mu.Unlock()
	if warn {
		m.Log().Warn("a connection can claim no more names: events for others do not reach it", zap.Int("names", apps.MaxClaims))
	}
	return added
}

// add adds a name. warn reports that there are too many, for the first time.
func (c *claims) add(name string) (added, warn bool) {
	switch {
	case slices.Contains(c.names, name):
		return false, false
	case len(c.names) < apps.MaxClaims:
		c.names = append(c.names, name)
		return true, false
	}
	warn, c.warned = !c.warned, true
	return false, warn
}

// listens reports whether m is ever told what others do.
func (m *Member) listens() bool {
	switch m.conn.(type) {
	case *Exchange, nobody:
		return false
	}
	return true
}

var errBadClaim = errors.New("the app has claimed a name that cannot be claimed")

// takeClaims has the senders of a batch claim what the results say. It returns, by member,
// the names that are new to those who are in the room, if something may stand for them.
func (r *Room) takeClaims(batch []operation, results []replica.Result) (fresh map[*Member][]string) {
	for i := range results {
		name, m := results[i].Outcome.Claim, batch[i].from
		if name == "" || !results[i].Counts() || !m.listens() {
			continue
		}
		if !isClaim(name) {
			r.reportOnce(&r.faults.claim, errBadClaim)
			continue
		}
		switch {
		case !m.claim(name) || !r.replica.Stands():
			continue
		case m.turn.outside:
			m.noteFresh(name)
			r.welcomeLater(m)
			continue
		}
		if fresh == nil {
			fresh = make(map[*Member][]string)
		}
		fresh[m] = append(fresh[m], name)
	}
	return fresh
}

// faults are those of the app that have been reported, once each. They belong to the
// turn.
type faults struct{ claim bool }

func (r *Room) reportOnce(reported *bool, err error) {
	if !*reported {
		*reported = true
		r.report(err)
	}
}
