package caddyws

import (
	"errors"
	"io"
	"net/http"
	"unicode/utf8"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
)

// maxPublished is the largest message that the admin API publishes, in bytes.
const maxPublished = 1 << 20

var (
	errNoApp           = errors.New("no route has this app")
	errPublishedTooBig = errors.New("message has more than 1 MiB")
)

// publishAnswer tells how many members a message goes to.
type publishAnswer struct {
	Members int `json:"members"`
}

// postPublish sends a message to all members of a room.
func postPublish(a *App, w http.ResponseWriter, r *http.Request) error {
	p := readParameters(r, "app", "room")
	key := p.roomKey()
	if err := p.check(); err != nil {
		return err
	}
	if a.hub.RouteTo(key.App, "") == nil {
		return apiError(http.StatusNotFound, errNoApp)
	}
	msg, err := readPublished(w, r)
	if err != nil {
		return err
	}
	members, err := a.hub.Publish(r.Context(), key, msg)
	if err != nil {
		return publishError(err)
	}
	return writeJSON(w, publishAnswer{members})
}

// publishError is why a message is not published, as the admin API answers it.
func publishError(err error) error {
	switch _, refused := errors.AsType[*replica.Error](err); {
	case refused:
		return apiError(statusOfRefusal(err), err)
	case errors.Is(err, room.ErrTooLarge):
		return apiError(http.StatusRequestEntityTooLarge, err)
	case errors.Is(err, hub.ErrSwitched):
		return apiError(http.StatusServiceUnavailable, err)
	}
	return roomError(err)
}

// readPublished reads a body as one message.
func readPublished(w http.ResponseWriter, r *http.Request) (apps.Message, error) {
	binary, err := judgeContent(w.Header(), r.Header)
	if err != nil {
		return apps.Message{}, apiError(http.StatusUnsupportedMediaType, err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPublished))
	switch _, tooBig := errors.AsType[*http.MaxBytesError](err); {
	case tooBig:
		return apps.Message{}, apiError(http.StatusRequestEntityTooLarge, errPublishedTooBig)
	case err != nil:
		return apps.Message{}, apiError(http.StatusBadRequest, err)
	case !binary && !utf8.Valid(body):
		return apps.Message{}, apiError(http.StatusBadRequest, errNotText)
	}
	return apps.Message{Data: body, Binary: binary}, nil
}
