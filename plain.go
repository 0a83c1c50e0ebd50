package caddyws

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/client/browser"
	"github.com/caddyws/caddy-websocket/room"
)

// The methods that a plain request may use.
const allowedMethods = "GET, HEAD, POST, OPTIONS"

var (
	errMethod      = errors.New("method is not allowed")
	errNoEvents    = errors.New("the app answers only the sender: there are no events to follow")
	errSubprotocol = errors.New("the subprotocol of a request is json, if the app has that, or none")
	errNoState     = errors.New("the app has no state to show: the request asks for no upgrade")
	errNotPure     = errors.New("the app does not answer a GET with a message")
	errTooFast     = errors.New("more messages than message_rate allows")
	errNotUTF8     = errors.New("message is not UTF-8")
)

// servePlain answers a request that is no WebSocket: the same room over plain
// HTTP.
func (h *Handler) servePlain(w http.ResponseWriter, r *http.Request) error {
	w.Header().Add("Vary", "Accept, Origin")
	if err := h.origins.check(r); err != nil {
		return caddyhttp.Error(http.StatusForbidden, err)
	}
	h.origins.share(w.Header(), r)
	room, err := h.roomName(r)
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		leaveBody(w, r)
		return h.serveGet(w, r, room)
	case http.MethodPost:
		return h.servePost(w, r, room)
	case http.MethodOptions:
		return servePreflight(w)
	}
	w.Header().Set("Allow", allowedMethods)
	return caddyhttp.Error(http.StatusMethodNotAllowed, errMethod)
}

// servePreflight answers what a browser asks before a request of another
// origin's page. The headers that allow it are there already.
func servePreflight(w http.ResponseWriter) error {
	w.Header().Set("Allow", allowedMethods)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) serveGet(w http.ResponseWriter, r *http.Request, room string) error {
	query := parseQuery(r.URL)
	switch {
	case query.Has("client.js"):
		browser.ServeHTTP(w, conditional(r))
		return nil
	case query.Has("message"):
		return h.serveQuery(w, r, room, query.Get("message"))
	}
	media, err := accepted(r, h.mediaTypes()...)
	switch {
	case err != nil && wantsEvents(r):
		return caddyhttp.Error(http.StatusNotAcceptable, errNoEvents)
	case err != nil:
		return err
	case media == typeEvents:
		return h.serveEvents(w, r, room)
	}
	rights, err := h.judge(r)
	switch {
	case err != nil:
		return err
	case media == typePage:
		return h.servePage(w, r, rights.ReadOnly)
	case h.route.Keeps:
		return h.serveHistory(w, r, room, media)
	}
	return h.serveView(w, r, room, media)
}

// mediaTypes are those in which a room can be looked at. The first is for requests
// without a wish.
func (h *Handler) mediaTypes() []mediaType {
	types := []mediaType{typeText, typeJSON}
	if _, pure := h.app.(apps.Pure); !pure { // which answers only the sender
		types = append(types, typeEvents)
	}
	if h.Page != nil {
		types = append(types, typePage)
	}
	return types
}

// wantsEvents reports whether a request would take an event stream, which all apps
// have but those that answer only the sender.
func wantsEvents(r *http.Request) bool {
	_, err := accepted(r, typeEvents)
	return err == nil
}

// conditional is a request whose If-None-Match, a list, stands on one line: net/http
// reads no more.
func conditional(r *http.Request) *http.Request {
	tags := r.Header["If-None-Match"]
	if len(tags) < 2 {
		return r
	}
	one := *r
	one.Header = r.Header.Clone()
	one.Header.Set("If-None-Match", strings.Join(tags, ", "))
	return &one
}

// serveView shows the state of the room.
func (h *Handler) serveView(w http.ResponseWriter, r *http.Request, room string, media mediaType) error {
	if _, ok := h.app.(apps.Stateful); !ok {
		return refuse(w, notUpgrade(r, errNoState))
	}
	view, err := h.hub.View(r.Context(), h.route, room)
	if err != nil {
		return h.refuseVisitor(w, err)
	}
	body, tag := view.Text, view.ID()
	if media == typeJSON {
		body, tag = view.JSON, tag+"-json"
	}
	serveNow(w, r, media, tag, body)
	return nil
}

// serveQuery answers GET ?message= where that changes nothing.
func (h *Handler) serveQuery(w http.ResponseWriter, r *http.Request, room, message string) error {
	if _, pure := h.app.(apps.Pure); !pure {
		w.Header().Set("Allow", "POST")
		return caddyhttp.Error(http.StatusMethodNotAllowed, errNotPure)
	}
	asked := r.Method != http.MethodHead
	if asked && !h.rates.allow(rateKey(r)) {
		return tooFast(w)
	}
	v, err := h.sender(r, room)
	switch {
	case err != nil:
		return err
	case !utf8.ValidString(message):
		return caddyhttp.Error(http.StatusBadRequest, errNotUTF8)
	case len(message) > h.MaxMessageSize:
		return caddyhttp.Error(http.StatusRequestEntityTooLarge, errTooBig)
	case !asked:
		w.Header().Set("Cache-Control", "no-store")
		return nil
	}
	return h.ask(w, r, v, apps.Text(message), nil)
}

// servePost takes the body as one message. Each POST counts against message_rate,
// before its body is read and whatever comes of it.
func (h *Handler) servePost(w http.ResponseWriter, r *http.Request, room string) error {
	if !h.rates.allow(rateKey(r)) {
		return tooFast(w)
	}
	v, err := h.sender(r, room)
	if err != nil {
		return err
	}
	if v.Subprotocol, err = h.askedSubprotocol(r); err != nil {
		return err
	}
	key, err := once(r)
	if err != nil {
		return err
	}
	message, err := h.readMessage(w, r)
	if err != nil {
		return err
	}
	if hasEnded(v.Rights) { // while the body came
		return caddyhttp.Error(http.StatusUnauthorized, errExpired)
	}
	return h.ask(w, r, v, message, key)
}

// tooFast refuses a client that sends more messages than it may.
func tooFast(w http.ResponseWriter) error {
	w.Header().Set("Retry-After", "1")
	return caddyhttp.Error(http.StatusTooManyRequests, errTooFast)
}

// ask hands one message to the app and answers with its reply. key is nil, or names what
// the message does.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request, v room.Visitor, m apps.Message, key *room.OperationID) error {
	answerType := h.answerType(r, v)
	v.AnswerJSON = answerType == typeJSON
	answer, err := h.hub.Ask(r.Context(), h.route, v, m, key)
	if err != nil {
		return h.refuseVisitor(w, err)
	}
	return writeAnswer(w, answer, answerType)
}

// answerType is that of the answer to a message.
func (h *Handler) answerType(r *http.Request, v room.Visitor) mediaType {
	if v.Subprotocol != "" {
		return typeJSON
	}
	types := []mediaType{typeText}
	if h.speaksJSON() {
		types = append(types, typeJSON)
	}
	media, err := accepted(r, types...)
	if err != nil {
		return typeText // a message has an effect: it is not refused for the look of its answer
	}
	return media
}
