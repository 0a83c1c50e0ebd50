package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"
)

// MaxSize is how large a page of an app or of a site may be, in bytes. It is one
// document: its images and scripts are better files of their own.
const MaxSize = 1 << 20

// Document is a page as it is sent.
type Document struct {
	html   []byte
	etag   string
	policy string // empty: it is the matter of whose document it is
}

func newDocument(html []byte, policy string) *Document {
	sum := sha256.Sum256(html)
	return &Document{html, `"page-` + hex.EncodeToString(sum[:12]) + `"`, policy}
}

// Own returns the page that an app brings: an HTML document in UTF-8. It is sent without
// a Content-Security-Policy.
func Own(html []byte) (*Document, error) {
	switch {
	case len(html) == 0:
		return nil, errors.New("it is empty")
	case len(html) > MaxSize:
		return nil, fmt.Errorf("it has more than %d bytes", MaxSize)
	case !utf8.Valid(html):
		return nil, errors.New("it is not UTF-8")
	}
	return newDocument(html, ""), nil
}

// ServeHTTP answers a GET or HEAD.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", d.etag)
	if d.policy != "" {
		header.Set("Content-Security-Policy", d.policy)
		header.Set("Referrer-Policy", "no-referrer")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.html)) // HEAD and 304 too
}
