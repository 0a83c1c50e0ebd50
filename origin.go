package caddyws

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
)

// origins judges which web pages may talk to a route. A browser tells the page's
// origin (RFC 6455 section 10.2) and cannot be made to lie by a page; other
// clients can, and are not what this rule is about.
type origins struct {
	any  bool
	list map[string]bool // scheme://host[:port], normalized
}

var errOrigin = errors.New("origin is not allowed, see the option origins")

// parseOrigins reads the option origins.
func parseOrigins(list []string) (origins, error) {
	o := origins{list: make(map[string]bool)}
	var wrong []error
	for _, entry := range list {
		if err := o.add(entry); err != nil {
			wrong = append(wrong, err)
		}
	}
	return o, errors.Join(wrong...)
}

func (o *origins) add(entry string) error {
	if entry == "*" {
		o.any = true
		return nil
	}
	texts := []string{entry}
	if !strings.Contains(entry, "://") && entry != "null" {
		texts = []string{"http://" + entry, "https://" + entry}
	}
	for _, text := range texts {
		origin, err := parseOrigin(text)
		if err != nil || strings.ContainsFunc(entry, neverInOrigin) {
			return fmt.Errorf("origin %q is not a host such as example.com, an origin such as https://example.com, or *", entry)
		}
		o.list[origin.String()] = true
	}
	return nil
}

// neverInOrigin tells that an entry with c would never match: browsers send no
// patterns, and international names as xn--...
func neverInOrigin(c rune) bool { return c == '*' || c > unicode.MaxASCII }

// check judges a request. A request without origin is let in, unless the browser
// says that another site's page has made it.
func (o origins) check(r *http.Request) error {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return checkFetchSite(r)
	}
	origin, err := parseOrigin(values[0])
	if err != nil || len(values) > 1 {
		return errOrigin
	}
	if o.any || o.named(origin) || sameOrigin(r, origin) {
		return nil
	}
	return errOrigin
}

// named tells whether an origin is listed by its name.
func (o origins) named(origin *url.URL) bool {
	return o.list[origin.String()]
}

// share adds the headers that let the page of a listed origin read the answer
// (Fetch standard, section 3.2), with the user's credentials only if the origin
// is listed by its name.
func (o origins) share(header http.Header, r *http.Request) {
	origin, err := parseOrigin(r.Header.Get("Origin"))
	if err != nil || !o.any && !o.named(origin) {
		return
	}
	header.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	header.Set("Access-Control-Expose-Headers", "ETag")
	if o.named(origin) {
		header.Set("Access-Control-Allow-Credentials", "true")
	}
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", allowedMethods)
		header.Set("Access-Control-Allow-Headers", "Content-Type, Last-Event-ID")
		header.Set("Access-Control-Max-Age", "600")
	}
}

// checkFetchSite reads what newer browsers say of every request, also of those
// without an origin (Fetch Metadata). A link on another site's page may lead to
// the state, since following it tells that page nothing.
func checkFetchSite(r *http.Request) error {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		if !isNavigation(r) {
			return errOrigin
		}
	}
	return nil
}

// isNavigation tells whether a person goes to the URL in a window of its own.
func isNavigation(r *http.Request) bool {
	return r.Method == http.MethodGet && !parseQuery(r.URL).Has("message") &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// sameOrigin tells whether the page is from the host and port that is asked. A
// page that came in the clear may not use what is behind TLS; the other way
// round, a proxy in front may have ended TLS.
func sameOrigin(r *http.Request, origin *url.URL) bool {
	scheme := "https"
	if r.TLS == nil && origin.Scheme == "http" {
		scheme = "http"
	}
	own, err := parseOrigin(scheme + "://" + r.Host)
	return err == nil && own.String() == origin.String()
}

// parseOrigin reads scheme://host[:port], where the scheme may be that of an
// app's own pages such as capacitor, and brings it to one form: lower case,
// without the scheme's default port. "null" and anything more than an origin
// are errors.
func parseOrigin(text string) (*url.URL, error) {
	u, err := url.Parse(strings.ToLower(text))
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "", "ws", "wss", "ftp": // no page is from there
		return nil, errOrigin
	}
	if u.Host == "" || u.Hostname() == "" ||
		u.Path != "" || strings.ContainsAny(text, "?#") || u.User != nil || u.Opaque != "" {
		return nil, errOrigin
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	if port := defaultPort(u.Scheme); u.Port() == port {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u, nil
}

func defaultPort(scheme string) string {
	return map[string]string{"http": "80", "https": "443"}[scheme]
}
