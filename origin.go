package caddyws

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// origins judges which web pages may talk to a route. A browser tells the page's
// origin (RFC 6455 section 10.2) and cannot be made to lie by a page; other
// clients can, and are not what this rule is about.
type origins struct {
	any    bool
	exact  map[string]bool // scheme://host[:port], normalized
	anyway map[string]bool // host[:port], whatever the scheme
}

var errOrigin = errors.New("origin is not allowed")

// parseOrigins reads the option origins.
func parseOrigins(list []string) (origins, error) {
	o := origins{exact: make(map[string]bool), anyway: make(map[string]bool)}
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
	text, bare := entry, !strings.Contains(entry, "://")
	if bare {
		text = "https://" + entry
	}
	origin, err := parseOrigin(text)
	if err != nil || strings.Contains(entry, "*") {
		return fmt.Errorf("origin %q is not a host such as example.com, an origin such as https://example.com, or *", entry)
	}
	if bare {
		o.anyway[origin.Host] = true
	} else {
		o.exact[origin.String()] = true
	}
	return nil
}

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
	if o.any || o.exact[origin.String()] || o.anyway[origin.Host] || sameOrigin(r, origin) {
		return nil
	}
	return errOrigin
}

// checkFetchSite reads what newer browsers say of every request, also of those
// without an origin.
func checkFetchSite(r *http.Request) error {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return errOrigin
	}
	return nil
}

// sameOrigin tells whether the page is from the host and port that is asked. A
// page that came in the clear may not use what is behind TLS; the other way
// round, a proxy in front may have ended TLS.
func sameOrigin(r *http.Request, origin *url.URL) bool {
	scheme := "https"
	if r.TLS == nil {
		scheme = origin.Scheme
	}
	own, err := parseOrigin(scheme + "://" + r.Host)
	return err == nil && own.String() == origin.String()
}

// parseOrigin reads scheme://host[:port] and brings it to one form: lower case,
// without the scheme's default port. "null" and anything more than an origin
// are errors.
func parseOrigin(text string) (*url.URL, error) {
	u, err := url.Parse(strings.ToLower(text))
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Hostname() == "" ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Opaque != "" {
		return nil, errOrigin
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	if port := defaultPort(u.Scheme); u.Port() == port {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u, nil
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}
