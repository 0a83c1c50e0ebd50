package caddyws

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/elnormous/contenttype"
)

// The forms in which a plain request can be answered.
var (
	typeText   = contenttype.NewMediaType("text/plain")
	typeJSON   = contenttype.NewMediaType("application/json")
	typeEvents = contenttype.NewMediaType("text/event-stream")
	typePage   = contenttype.NewMediaType("text/html")
)

var errAccept = errors.New("there is no answer of a media type that is accepted")

// accepted chooses the form that the request prefers (RFC 9110 section 12.5.1):
// of those that it likes equally the one it names first, and our first for */*.
// What cannot be understood prefers nothing.
func accepted(r *http.Request, forms ...contenttype.MediaType) (contenttype.MediaType, error) {
	form, _, err := contenttype.GetAcceptableMediaType(r, forms)
	switch {
	case err == nil:
		return form, nil
	case errors.Is(err, contenttype.ErrNoAcceptableTypeFound):
		return form, caddyhttp.Error(http.StatusNotAcceptable, errAccept)
	}
	return forms[0], nil
}

// contentType is a form as it stands in a response.
func contentType(form contenttype.MediaType) string {
	if form.EqualsMIME(typeText) {
		return "text/plain; charset=utf-8"
	}
	return form.MIME()
}
