package room

import (
	"errors"

	"github.com/caddyws/caddy-websocket/replica"
)

// missing is the clients whose first operation was refused over one connection, for a
// reason that passes. A client may have sent further ones by then. The room does not
// know such a client, but what it did before is known: nothing. So it is told to begin
// with number 1 again, and not that its operations may have counted.
type missing map[string]bool

// maxMissing is how many clients of one connection are remembered.
const maxMissing = 64

// judge returns what m is told of an operation with a stamp: err, which is nil if it
// has counted, or that the first operation of its client is missing.
func (m *Member) judge(err error, s *stamp) error {
	once := s.count()
	if once == nil {
		return err
	}
	client, n := once.ID.Name, once.ID.N
	e, _ := errors.AsType[*replica.Error](err)
	switch {
	case n == 1:
		m.setMissing(client, e != nil && e.Retry)
	case errors.Is(err, replica.ErrUnknownClient) && m.isMissing(client):
		return replica.ErrExpected(client, 1)
	}
	return err
}

// setMissing notes whether the first operation of a client is missing. Of very many
// clients some are not noted.
func (m *Member) setMissing(client string, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !is {
		if m.extras != nil {
			delete(m.extras.missing, client)
		}
		return
	}
	x := m.needExtras()
	if x.missing == nil {
		x.missing = make(missing)
	}
	if len(x.missing) < maxMissing {
		x.missing[client] = true
	}
}

func (m *Member) isMissing(client string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.extras != nil && m.extras.missing[client]
}
