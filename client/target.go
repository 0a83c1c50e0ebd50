package client

import (
	"fmt"
	"net/url"
	"strings"
)

// schemes has the scheme of a WebSocket for each that is taken. People copy the http
// forms from a browser.
var schemes = map[string]string{"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

// parseTarget reads the URL of an endpoint.
func parseTarget(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		return nil, fmt.Errorf("the URL %q has no scheme: write ws:// or, for TLS, wss:// before it", raw)
	}
	target, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("reading the URL: %w", err)
	}
	scheme, known := schemes[target.Scheme]
	switch {
	case !known:
		return nil, fmt.Errorf("the URL %q has the scheme %s, expected ws, wss, http or https", raw, target.Scheme)
	case target.Hostname() == "":
		return nil, fmt.Errorf("the URL %q has no host", raw)
	case target.Fragment != "":
		return nil, fmt.Errorf("the URL %q has a fragment (#%s), which a server never sees: leave it out, or write %%23 for #", raw, target.Fragment)
	}
	target.Scheme = scheme
	return target, nil
}
