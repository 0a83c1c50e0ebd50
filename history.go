package caddyws

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// Bounds and defaults of the option history.
const (
	maxHistory    = 10_000
	defaultReplay = 50
	noReplay      = -1
)

// limitParameter is how many messages a GET is shown at most.
const limitParameter = "limit"

// Bounds of the parameter.
const (
	defaultShown = 100
	maxShown     = 1000
)

// parseHistory reads `history <n> [<age>|off] [<replay>|off]`.
func (h *Handler) parseHistory(d *caddyfile.Dispenser) error {
	if err := options.CountTo(&h.History, maxHistory)(d); err != nil || d.CountRemainingArgs() == 0 {
		return err
	}
	if err := options.DurationOrOff(&h.HistoryAge)(d); err != nil {
		return err
	}
	if h.HistoryAge == options.Off { // as without an age
		h.HistoryAge = 0
	}
	if !d.NextArg() {
		return nil
	}
	if d.Val() == "off" {
		h.HistoryReplay = noReplay
		return nil
	}
	n, err := strconv.Atoi(d.Val())
	if err != nil || n < 1 {
		return options.Errf(d, "%q is not a number of messages for those who join, or off", d.Val())
	}
	h.HistoryReplay = n
	return nil
}

// setHistoryDefault sets how many messages those are sent who join.
func (h *Handler) setHistoryDefault() {
	if h.History > 0 {
		setDefault(&h.HistoryReplay, min(defaultReplay, h.History))
	}
}

// checkHistory refuses a history that is too long, or of an app that has none.
func (h *Handler) checkHistory() error {
	if h.History == 0 {
		if h.HistoryAge != 0 || h.HistoryReplay != 0 {
			return fmt.Errorf("history_age and history_replay need a history from 1 to %d messages", maxHistory)
		}
		return nil
	}
	return errors.Join(
		h.checkHistoryUse(),
		inRange("history", h.History, 1, maxHistory, " messages"),
		h.checkAge(),
		h.checkReplay(),
	)
}

// checkHistoryUse refuses a history that would keep nothing.
func (h *Handler) checkHistoryUse() error {
	if _, stateful := h.app.(apps.Stateful); stateful {
		return fmt.Errorf("history is for apps that publish messages; %s keeps a state", h.appName)
	}
	if _, pure := h.app.(apps.Pure); pure {
		return fmt.Errorf("history is for apps that publish messages; %s answers only the sender", h.appName)
	}
	return nil
}

func (h *Handler) checkAge() error {
	if err := duration("history_age", h.HistoryAge, maxSpan); h.HistoryAge != 0 && err != nil {
		return fmt.Errorf("%w, or 0 (in a Caddyfile off) for none", err)
	}
	return nil
}

func (h *Handler) checkReplay() error {
	if h.HistoryReplay == noReplay {
		return nil
	}
	if h.HistoryReplay < 1 || h.HistoryReplay > h.History {
		return fmt.Errorf("history_replay is %d, expected 1 to %d, the number of messages that are kept, or -1 (in a Caddyfile off) for none", h.HistoryReplay, h.History)
	}
	return nil
}

func (h *Handler) history() route.History {
	return route.History{Messages: h.History, Age: time.Duration(h.HistoryAge), Replay: max(h.HistoryReplay, 0)}
}

// serveHistory shows the messages of a room.
func (h *Handler) serveHistory(w http.ResponseWriter, r *http.Request, name string, media mediaType) error {
	query := parseQuery(r.URL)
	seen, err := afterOf(query)
	if err != nil {
		return err
	}
	limit, err := limitOf(query)
	if err != nil {
		return err
	}
	shown, err := h.hub.History(r.Context(), h.route, name, seen, limit)
	if err != nil {
		return h.refuseVisitor(w, err)
	}
	if media == typeJSON {
		serveNow(w, r, media, shown.ID()+"-json", shown.JSON())
		return nil
	}
	serveNow(w, r, media, shown.ID(), shown.Text())
	return nil
}

// limitOf returns how many messages a request asks for at most.
func limitOf(query url.Values) (int, error) {
	if !query.Has(limitParameter) {
		return defaultShown, nil
	}
	n, err := strconv.Atoi(query.Get(limitParameter))
	if err != nil || n < 1 || n > maxShown || len(query[limitParameter]) > 1 {
		return 0, badParameter(limitParameter, fmt.Errorf("it is one number from 1 to %d", maxShown))
	}
	return n, nil
}

// afterOf returns the point that a request says it has seen.
func afterOf(query url.Values) (seen room.Seen, err error) {
	after := query[afterParameter]
	if len(after) > 1 {
		return seen, caddyhttp.Error(http.StatusBadRequest, errAfter)
	}
	for _, point := range after {
		if seen, err = room.ParseSeen(point); err != nil {
			return seen, badParameter(afterParameter, err)
		}
	}
	return seen, nil
}

// serveNow shows what may be another the next time: HEAD and 304, too.
func serveNow(w http.ResponseWriter, r *http.Request, media mediaType, tag string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", media.contentType())
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, conditional(r), "", time.Time{}, bytes.NewReader(body))
}
