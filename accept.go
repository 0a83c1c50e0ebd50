package caddyws

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// mediaType is a form in which a plain request can be answered.
type mediaType string

const (
	typeText   mediaType = "text/plain"
	typeJSON   mediaType = "application/json"
	typeEvents mediaType = "text/event-stream"
	typePage   mediaType = "text/html"
)

var errAccept = errors.New("there is no answer of a media type that is accepted")

// accepted chooses the form that the request prefers (RFC 9110, section 12.5.1): of
// those with the greatest weight the one that it names first, and our first where it
// names several at once, as */* does. A weight of 0 rules a form out. An element of
// Accept that cannot be read says nothing, and a request that says nothing prefers
// our first form.
func accepted(r *http.Request, forms ...mediaType) (mediaType, error) {
	wishes := make([]wish, len(forms))
	place := 0
	for _, element := range listElements(r.Header["Accept"]) {
		media, ok := parseMediaRange(element)
		if !ok {
			continue
		}
		place++
		for i, form := range forms {
			wishes[i].hear(media, form, place)
		}
	}
	if place == 0 {
		return forms[0], nil
	}
	var best wish
	var form mediaType
	for i, wish := range wishes {
		if form == "" || wish.before(best) {
			best, form = wish, forms[i]
		}
	}
	if best.weight == 0 {
		return "", caddyhttp.Error(http.StatusNotAcceptable, errAccept)
	}
	return form, nil
}

// wish is what a request says of one form.
type wish struct {
	weight float64 // 0: not wanted
	place  int     // of the range that says so
	match  match   // how precisely that range speaks of the form
}

// hear takes into account what a media range says of a form: the most precise one
// counts, and of those that are equally precise the one that likes it best.
func (w *wish) hear(m mediaRange, form mediaType, place int) {
	match := m.match(form)
	if match > w.match || match == w.match && match != noMatch && m.weight > w.weight {
		*w = wish{m.weight, place, match}
	}
}

// before reports whether a form with this wish is preferred to another.
func (w wish) before(other wish) bool {
	return w.weight > other.weight || w.weight == other.weight && w.place < other.place
}

// mediaRange is an element of Accept.
type mediaRange struct {
	name   string // such as text/plain, text/* or */*; lower case
	params map[string]string
	weight float64
}

// match tells how precisely a media range speaks of a form.
type match int

const (
	noMatch       match = iota
	matchesAny          // */*
	matchesType         // text/*
	matchesOther        // text/plain with parameters that the form does not have
	matchesForm         // text/plain
	matchesParams       // text/plain;charset=utf-8
)

// match judges a form, all of which are in UTF-8. Parameters that it does not have do
// not rule it out, as the letter of the RFC does: few clients mean that. A range with
// such parameters and the weight 0 refuses a variant that there is not.
func (m mediaRange) match(form mediaType) match {
	group, _, _ := strings.Cut(string(form), "/")
	switch {
	case m.name == "*/*":
		return matchesAny
	case m.name == group+"/*":
		return matchesType
	case m.name != string(form):
		return noMatch
	case len(m.params) == 0:
		return matchesForm
	case len(m.params) == 1 && strings.EqualFold(m.params["charset"], "utf-8"):
		return matchesParams
	case m.weight == 0:
		return noMatch
	}
	return matchesOther
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
	m := mediaRange{name, params, 1}
	if q, ok := params["q"]; ok {
		delete(params, "q")
		m.weight, ok = parseWeight(q)
		return m, ok
	}
	return m, true
}

// parseWeight reads a number from 0 to 1.
func parseWeight(text string) (float64, bool) {
	if strings.Trim(text, "0123456789.") != "" {
		return 0, false // no sign, exponent, infinity
	}
	weight, err := strconv.ParseFloat(text, 64)
	return weight, err == nil && weight <= 1
}

// listElements returns the elements of a field that is a list, over all its lines
// (RFC 9110, sections 5.3 and 5.6.1): what commas separate, except those in quotes.
func listElements(lines []string) (elements []string) {
	text := strings.Join(lines, ",")
	quoted, escaped, start := false, false, 0
	for i := range len(text) + 1 {
		switch {
		case i == len(text) || text[i] == ',' && !quoted:
			if element := strings.Trim(text[start:i], " \t"); element != "" {
				elements = append(elements, element)
			}
			start = i + 1
		case escaped:
			escaped = false
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '\\':
			escaped = quoted
		}
	}
	return elements
}

// contentType is a form as it stands in a response.
func (m mediaType) contentType() string {
	if m == typeText {
		return "text/plain; charset=utf-8"
	}
	return string(m)
}
