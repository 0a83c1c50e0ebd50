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
// origin (RFC 6455, section 10.2) and cannot be made to lie by a page; other
// clients can, and are not what this rule is about.
type origins struct {
	any      bool
	web      map[webOrigin]bool
	literals map[string]bool // null, and what has another scheme; in lower case
}

// webOrigin is the origin of a page, in one form: lower case, without the
// scheme's default port.
type webOrigin struct{ scheme, host string }

var errOrigin = errors.New("origin is not allowed")

// parseOrigins reads the option origins.
func parseOrigins(list []string) (origins, error) {
	o := origins{web: make(map[webOrigin]bool), literals: make(map[string]bool)}
	var wrong []error
	for _, entry := range list {
		if !o.add(entry) {
			wrong = append(wrong, fmt.Errorf("origin %q is none of: a host such as example.com, an origin such as https://example.com, "+
				"a value with another scheme such as file://, null, *", entry))
		}
	}
	return o, errors.Join(wrong...)
}

// add lists an entry and reports whether it can ever match.
func (o *origins) add(entry string) bool {
	if entry == "*" {
		o.any = true
		return true
	}
	if strings.ContainsFunc(entry, neverInOrigin) {
		return false
	}
	entry = strings.ToLower(entry)
	switch scheme, _, found := strings.Cut(entry, "://"); {
	case entry == "null", found && isScheme(scheme) && defaultPort(scheme) == "":
		o.literals[entry] = true
		return true
	case found:
		return o.addWeb(entry)
	}
	return o.addWeb("http://"+entry) && o.addWeb("https://"+entry)
}

func (o *origins) addWeb(entry string) bool {
	origin, ok := parseWebOrigin(entry)
	if !ok || strings.HasSuffix(entry, "/") || strings.HasSuffix(entry, ":") {
		return false
	}
	o.web[origin] = true
	return true
}

// neverInOrigin reports whether an entry with c would never match: clients send
// no patterns and no lists, and international names as xn--...
func neverInOrigin(c rune) bool {
	return c == '*' || c == ',' || c > unicode.MaxASCII || unicode.IsSpace(c) || unicode.IsControl(c)
}

// isScheme reports whether a text in lower case is the scheme of a URL
// (RFC 3986, section 3.1).
func isScheme(text string) bool {
	return text != "" && text[0] >= 'a' && text[0] <= 'z' &&
		strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

// check judges a request. A request without origin is let in, unless the browser
// says that another site's page has made it.
func (o origins) check(r *http.Request) error {
	values := r.Header["Origin"]
	switch {
	case o.any:
		return nil
	case len(values) == 0:
		return checkFetchSite(r)
	case len(values) == 1 && o.allows(r, values[0]):
		return nil
	}
	return errOrigin
}

// allows reports whether an origin is listed or the request's own.
func (o origins) allows(r *http.Request, text string) bool {
	if o.literals[strings.ToLower(text)] {
		return true
	}
	origin, ok := parseWebOrigin(text)
	return ok && (o.web[origin] || sameOrigin(r, origin))
}

// share adds the headers that let the page of a listed origin read the answer
// (Fetch standard, section 3.2). The user's credentials are for origins of http
// and https that are listed by name: null is sent by a page of any site in a
// sandboxed frame.
func (o origins) share(header http.Header, r *http.Request) {
	text := r.Header.Get("Origin")
	origin, _ := parseWebOrigin(text)
	switch {
	case text == "":
		return
	case o.web[origin]:
		header.Set("Access-Control-Allow-Origin", text)
		header.Set("Access-Control-Allow-Credentials", "true")
	case o.literals[strings.ToLower(text)]:
		header.Set("Access-Control-Allow-Origin", text)
	case o.any:
		header.Set("Access-Control-Allow-Origin", "*")
	default:
		return
	}
	header.Set("Access-Control-Expose-Headers", "ETag")
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", allowedMethods)
		header.Set("Access-Control-Allow-Headers", sharedHeaders)
		header.Set("Access-Control-Max-Age", "600")
	}
}

// sharedHeaders are the headers of a request that a page of another origin may
// set: those that are read here, and those that EventSource polyfills send.
const sharedHeaders = "Authorization, Cache-Control, Content-Type, Idempotency-At, Idempotency-Key, If-None-Match, Last-Event-ID"

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

// isNavigation reports whether a person goes to the URL in a window of its own.
func isNavigation(r *http.Request) bool {
	return r.Method == http.MethodGet && !parseQuery(r.URL).Has("message") &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// sameOrigin reports whether the page is from the host and port that is asked. A
// page that came in the clear may not use what is behind TLS; the other way
// round, a proxy in front may have ended TLS.
func sameOrigin(r *http.Request, origin webOrigin) bool {
	if r.TLS != nil && origin.scheme == "http" {
		return false
	}
	own, ok := parseWebOrigin(origin.scheme + "://" + r.Host)
	return ok && own == origin
}

// parseWebOrigin reads scheme://host[:port] of http or https. Some clients that
// are no browsers send the URL that they connect to instead, with the scheme ws
// or wss or with a slash behind it: that counts as the origin it belongs to.
func parseWebOrigin(text string) (webOrigin, bool) {
	u, err := url.Parse(strings.ToLower(text))
	if err != nil {
		return webOrigin{}, false
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	}
	port := defaultPort(u.Scheme)
	if port == "" || u.Hostname() == "" || u.Path != "" && u.Path != "/" ||
		u.User != nil || strings.ContainsAny(text, "?#") {
		return webOrigin{}, false
	}
	host := strings.TrimSuffix(u.Host, ":")
	if u.Port() == port {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return webOrigin{u.Scheme, host}, true
}

// defaultPort returns the port of a scheme that pages have, or nothing.
func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}
