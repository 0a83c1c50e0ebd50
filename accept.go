package caddyws

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/handshake"
)

// mediaType is a media type in which a plain request can be answered.
type mediaType string

const (
	typeText   mediaType = "text/plain"
	typeJSON   mediaType = "application/json"
	typeEvents mediaType = "text/event-stream"
	typePage   mediaType = "text/html"
)

var errAccept = errors.New("there is no answer of a media type that is accepted")

// accepted chooses the media type that the request prefers (RFC 9110, section 12.5.1): of
// those with the greatest weight the one that it names first, and our first where it
// names several at once, as */* does. A weight of 0 rules a type out. An element of
// Accept that cannot be read says nothing, and a request that says nothing prefers
// our first type.
func accepted(r *http.Request, types ...mediaType) (mediaType, error) {
	wishes := make([]wish, len(types))
	place := 0
	for element := range handshake.Elements(r.Header, "Accept") {
		media, ok := parseMediaRange(element)
		if !ok {
			continue
		}
		place++
		for i, t := range types {
			wishes[i].hear(media, t, place)
		}
	}
	if place == 0 {
		return types[0], nil
	}
	var best wish
	var chosen mediaType
	for i, wish := range wishes {
		if chosen == "" || wish.before(best) {
			best, chosen = wish, types[i]
		}
	}
	if best.weight == 0 {
		return "", caddyhttp.Error(http.StatusNotAcceptable, errAccept)
	}
	return chosen, nil
}

// wish is what a request says of one media type.
type wish struct {
	weight float64 // 0: not wanted
	place  int     // of the range that says so
	match  match   // how precisely that range speaks of the type
}

// hear takes into account what a media range says of a type: the most precise one
// counts, and of those that are equally precise the one that likes it best.
func (w *wish) hear(m mediaRange, t mediaType, place int) {
	match := m.match(t)
	if match > w.match || match == w.match && match != noMatch && m.weight > w.weight {
		*w = wish{m.weight, place, match}
	}
}

// before reports whether a type with this wish is preferred to another.
func (w wish) before(other wish) bool {
	return w.weight > other.weight || w.weight == other.weight && w.place < other.place
}

// mediaRange is an element of Accept.
type mediaRange struct {
	name    string // such as text/plain, text/* or */*; lower case
	variant bool   // it has parameters
	weight  float64
}

// match tells how precisely a media range speaks of a type.
type match int

const (
	noMatch     match = iota
	matchesAny        // */*
	matchesType       // text/*
	matchesForm       // text/plain
)

// match judges a media type. Parameters do not rule it out, as the letter of the RFC does:
// few clients mean that. A range with parameters and the weight 0 refuses some other
// variant of the type than ours.
func (m mediaRange) match(t mediaType) match {
	group, _, _ := strings.Cut(string(t), "/")
	switch {
	case m.name == "*/*":
		return matchesAny
	case m.name == group+"/*":
		return matchesType
	case m.name != string(t), m.variant && m.weight == 0:
		return noMatch
	}
	return matchesForm
}

// parseMediaRange reads an element of Accept. A lone * is what old Java clients send
// for */*.
func parseMediaRange(text string) (mediaRange, bool) {
	name, params, err := mime.ParseMediaType(text)
	if err != nil {
		return mediaRange{}, false
	}
	if name == "*" {
		name = "*/*"
	}
	q, weighted := params["q"]
	if !weighted {
		return mediaRange{name, len(params) > 0, 1}, true
	}
	weight, ok := parseWeight(q)
	return mediaRange{name, len(params) > 1, weight}, ok
}

// parseWeight reads a number from 0 to 1.
func parseWeight(text string) (float64, bool) {
	if strings.Trim(text, "0123456789.") != "" {
		return 0, false // no sign, exponent, infinity
	}
	weight, err := strconv.ParseFloat(text, 64)
	return weight, err == nil && weight <= 1
}

// contentType is a media type as it stands in a response.
func (m mediaType) contentType() string {
	if m == typeText {
		return "text/plain; charset=utf-8"
	}
	return string(m)
}
