package caddyws

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/elnormous/contenttype"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/page"
)

// The methods that a plain request may use.
const allowedMethods = "GET, HEAD, POST, OPTIONS"

var (
	errMethod  = errors.New("method is not allowed")
	errNotPure = errors.New("the app does not answer a GET with a message")
	errTooFast = errors.New("more messages than message_rate allows")
	errTooBig  = errors.New("message exceeds max_message_size")
	errNotText = errors.New("body is not UTF-8; binary is sent as application/octet-stream")
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
	if query := r.URL.Query(); query.Has("message") {
		return h.serveQuery(w, r, room, query.Get("message"))
	}
	forms := []contenttype.MediaType{typeText, typeJSON, typeEvents}
	if h.Page {
		forms = append(forms, typePage)
	}
	form, err := accepted(r, forms...)
	switch {
	case err != nil:
		return err
	case form.EqualsMIME(typePage) && h.speaksJSON():
		page.Serve(w, r)
		return nil
	case form.EqualsMIME(typePage):
		page.ServeText(w, r)
		return nil
	case form.EqualsMIME(typeEvents):
		return h.serveEvents(w, r, room)
	}
	return h.serveView(w, r, room, form)
}

// serveView shows the state of the room.
func (h *Handler) serveView(w http.ResponseWriter, r *http.Request, room string, form contenttype.MediaType) error {
	if _, ok := h.app.(apps.Stateful); !ok {
		return refuse(w, notUpgrade(r))
	}
	view, err := h.hub.View(r.Context(), h.route, room)
	if err != nil {
		return h.refuseVisitor(w, err)
	}
	body, tag := view.Text, view.ID()
	if form.EqualsMIME(typeJSON) {
		body, tag = view.JSON, tag+"-json"
	}
	header := w.Header()
	header.Set("Content-Type", contentType(form))
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body)) // HEAD and 304 too
	return nil
}

// serveQuery answers GET ?message= where that changes nothing.
func (h *Handler) serveQuery(w http.ResponseWriter, r *http.Request, room, message string) error {
	_, pure := h.app.(apps.Pure)
	switch {
	case !pure:
		w.Header().Set("Allow", "POST")
		return caddyhttp.Error(http.StatusMethodNotAllowed, errNotPure)
	case r.Method == http.MethodHead:
		w.Header().Set("Cache-Control", "no-store")
		return nil
	case !utf8.ValidString(message):
		return caddyhttp.Error(http.StatusBadRequest, errNotText)
	case len(message) > h.MaxMessageSize:
		return caddyhttp.Error(http.StatusRequestEntityTooLarge, errTooBig)
	}
	return h.ask(w, r, room, apps.Text(message))
}

// servePost takes the body as one message.
func (h *Handler) servePost(w http.ResponseWriter, r *http.Request, room string) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(h.MaxMessageSize)))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return caddyhttp.Error(http.StatusRequestEntityTooLarge, errTooBig)
	case err != nil:
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	media, err := contenttype.GetMediaType(r)
	if err == nil && media.MIME() == "application/octet-stream" {
		return h.ask(w, r, room, apps.Binary(body))
	}
	if !utf8.Valid(body) {
		return caddyhttp.Error(http.StatusBadRequest, errNotText)
	}
	return h.ask(w, r, room, apps.Message{Data: body})
}

// ask hands one message to the app and answers with its reply.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request, room string, m apps.Message) error {
	if !h.rates.allow(rateKey(r)) {
		w.Header().Set("Retry-After", "1")
		return caddyhttp.Error(http.StatusTooManyRequests, errTooFast)
	}
	forms := []contenttype.MediaType{typeText}
	if h.speaksJSON() {
		forms = append(forms, typeJSON)
	}
	form, err := accepted(r, forms...)
	if err != nil {
		form = typeText // a message has an effect: it is not refused for the look of its answer
	}
	v := h.visitor(r, room)
	v.Subprotocol = ""
	if form.EqualsMIME(typeJSON) {
		v.Subprotocol = hub.JSON
	}
	answer, err := h.hub.Ask(r.Context(), h.route, v, m)
	if err != nil {
		return h.refuseVisitor(w, err)
	}
	return writeAnswer(w, answer, form)
}

func writeAnswer(w http.ResponseWriter, answer hub.Answer, form contenttype.MediaType) error {
	w.Header().Set("Cache-Control", "no-store")
	if answer.Status == http.StatusNoContent {
		w.WriteHeader(answer.Status)
		return nil
	}
	w.Header().Set("Content-Type", contentType(form))
	if answer.Binary {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	if answer.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(answer.Status)
	_, err := w.Write(answer.Data)
	return err
}
