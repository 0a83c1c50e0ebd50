package caddyws

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
)

// The headers by which a POST counts once, however often it is sent
// (draft-ietf-httpapi-idempotency-key-header), and by which it tells what the client had
// seen before.
const (
	keyHeader = "Idempotency-Key"
	atHeader  = "Idempotency-At"
)

var errKeys = errors.New("there is more than one " + keyHeader + " or " + atHeader + ", or the latter alone")

// once returns what a request says to count once, or nil.
func once(r *http.Request) (*room.OperationID, error) {
	keys, at := r.Header.Values(keyHeader), r.Header.Values(atHeader)
	switch {
	case len(keys) == 0 && len(at) == 0:
		return nil, nil
	case len(keys) != 1 || len(at) > 1:
		return nil, caddyhttp.Error(http.StatusBadRequest, errKeys)
	}
	id, err := replica.ParseKey(keys[0])
	if err != nil {
		return nil, caddyhttp.Error(http.StatusBadRequest, err)
	}
	o := &room.OperationID{ID: id}
	if len(at) == 1 {
		o.At = at[0]
	}
	return o, nil
}
