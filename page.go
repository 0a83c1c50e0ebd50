package caddyws

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/page"
)

// Page is what a browser shows that opens the URL: the file if there is one, else the
// page that the app brings, else the one of this module.
type Page struct {
	// What stands above the value or the messages, up to 100 characters. Default: the
	// last part of the URL's path.
	Title string `json:"title,omitempty"`

	// What the numbers count, such as kWh, up to 20 characters. Default: none.
	Unit string `json:"unit,omitempty"`

	// An HTML file in UTF-8 to show instead, of up to 1048576 bytes. It is read again
	// when it has changed. Its Content-Security-Policy is left to you. Default: none.
	File string `json:"file,omitempty"`
}

// Bounds of a page's options, in characters.
const (
	maxTitle = 100
	maxUnit  = 20
)

// parsePage reads `page [{ title <text>; unit <text> } | { file <path> }]`.
func (h *Handler) parsePage(d *caddyfile.Dispenser) error {
	h.Page = new(Page)
	return options.Set{
		"title": options.Text(&h.Page.Title),
		"unit":  options.Text(&h.Page.Unit),
		"file":  options.Text(&h.Page.File),
	}.Option(d)
}

// checkPage refuses options of the page that are of no use, or too long.
func (h *Handler) checkPage() error {
	if h.Page == nil {
		return nil
	}
	return errors.Join(
		h.checkPageUse(),
		caption("title", h.Page.Title, maxTitle),
		caption("unit", h.Page.Unit, maxUnit),
	)
}

// checkPageUse refuses a page, or options of it, that would never be shown.
func (h *Handler) checkPageUse() error {
	_, brings := h.app.(apps.Pager)
	switch captioned := h.Page.Title != "" || h.Page.Unit != ""; {
	case h.HTTP != httpOn:
		return fmt.Errorf("page is of no use with http %s", h.HTTP)
	case captioned && h.Page.File != "":
		return errors.New("title and unit of page are of no use with a file")
	case captioned && brings:
		return fmt.Errorf("title and unit of page are of no use with the app %s, which brings a page of its own", h.appName)
	}
	return nil
}

// caption judges a text that the page shows.
func caption(option, text string, most int) error {
	if n := utf8.RuneCountInString(text); n > most {
		return fmt.Errorf("the %s of page has %d characters, expected up to %d", option, n, most)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("the %s of page has a control character", option)
	}
	return nil
}

// pageSource finds the document that is shown to clients that may send, or may not: a file
// may have changed.
type pageSource func(readOnly bool) (*page.Document, error)

// findPage returns where the page comes from. That of an app is asked for once: a panic
// of it refuses the configuration.
func (h *Handler) findPage() (pageSource, error) {
	if h.Page == nil {
		return nil, nil
	}
	if h.Page.File != "" {
		file, err := page.Open(h.Page.File)
		if err != nil {
			return nil, err
		}
		return func(bool) (*page.Document, error) { return file.Document() }, nil
	}
	document, err := h.pageOfApp(false)
	if _, brings := h.app.(apps.Pager); err != nil || h.write == nil || brings {
		return func(bool) (*page.Document, error) { return document, nil }, err
	}
	forReaders, err := h.pageOfApp(true)
	return func(readOnly bool) (*page.Document, error) {
		if readOnly {
			return forReaders, nil
		}
		return document, nil
	}, err
}

func (h *Handler) pageOfApp(readOnly bool) (document *page.Document, err error) {
	pager, ok := h.app.(apps.Pager)
	if !ok {
		return page.New(h.pageOptions(readOnly)), nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("asking the app for its page: panic: %v", p)
		}
	}()
	if document, err = page.Own(pager.Page()); err != nil {
		err = fmt.Errorf("the page of the app: %w", err)
	}
	return document, err
}

// pageOptions are what the page of the module has to know. What an app of somebody else
// without state takes in the subprotocol json is not known: the page sends it texts.
func (h *Handler) pageOptions(readOnly bool) page.Options {
	_, pure := h.app.(apps.Pure)
	_, stateful := h.app.(apps.Stateful)
	_, chat := h.app.(*broadcast.App)
	return page.Options{
		Title: h.Page.Title, Unit: h.Page.Unit,
		TextOnly: !chat && (!stateful || !h.speaksJSON()), Chat: chat, Answers: pure, ReadOnly: readOnly,
	}
}

var errPage = errors.New("the page cannot be read")

// servePage answers a GET or HEAD of a browser.
func (h *Handler) servePage(w http.ResponseWriter, r *http.Request, readOnly bool) error {
	document, err := h.page(readOnly)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("%w: %w", errPage, err))
	}
	document.ServeHTTP(w, conditional(r))
	return nil
}
