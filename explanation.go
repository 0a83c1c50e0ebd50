package caddyws

import (
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// explains reports whether a refusal is one that a person should be told in words: a
// browser asked for a page where there is only a WebSocket. A site that has
// handle_errors has words of its own.
func explains(r *http.Request, e caddyhttp.HandlerError) bool {
	if !errors.Is(e.Err, errNotUpgrade) && !errors.Is(e.Err, errNoState) || handlesErrors(r) {
		return false
	}
	media, err := accepted(r, typeText, typePage)
	return err == nil && media == typePage
}

// handlesErrors reports whether the site has routes for errors.
func handlesErrors(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return ok && server.Errors != nil && len(server.Errors.Routes) > 0
}

// explanation is what a browser is shown, with the address of the WebSocket for ADDRESS.
const explanation = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>A WebSocket</title>
<main>
<h1>This address is a WebSocket</h1>
<p>It is for programs that stay connected. There is no page here to look at.</p>
<h2>To talk to it</h2>
<p>Connect with a WebSocket client, for example in a terminal:</p>
<pre>npx wscat -c 'ADDRESS'</pre>
<p>or in a web page of this site:</p>
<pre>const ws = new WebSocket("ADDRESS");
ws.onmessage = event =&gt; console.log(event.data);
ws.onopen = () =&gt; ws.send("Hello");</pre>
<h2>If this is your site</h2>
<p>The option <code>page</code> of <code>websocket</code> in your Caddyfile shows a live page here.</p>
</main>
</html>
`

// explanationOfPost is added where plain requests are taken, too.
const explanationOfPost = `<p>or send one message without staying:</p>
<pre>curl -d Hello 'ADDRESS'</pre>
`

// explain answers a refused request in words, with the status and the headers of the
// refusal.
func (h *Handler) explain(w http.ResponseWriter, r *http.Request, status int) error {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	if header.Get("Vary") == "" {
		header.Set("Vary", "Accept")
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := io.WriteString(w, h.words(r)) //nolint:gosec // words escapes the address
	return err
}

// words is the explanation for the address that was asked for.
func (h *Handler) words(r *http.Request) string {
	text := strings.ReplaceAll(explanation, "ADDRESS", html.EscapeString(addressOf(r, "ws")))
	if h.HTTP != httpOn {
		return text
	}
	return strings.Replace(text, "<h2>If", strings.Replace(explanationOfPost, "ADDRESS", html.EscapeString(addressOf(r, "http")), 1)+"<h2>If", 1)
}

// addressOf is the address that was asked for, by a scheme that gets an s over TLS. It is
// meant to be copied, so that it has nothing that ends a string of a shell or a script: a
// link may have been made by anybody.
func addressOf(r *http.Request, scheme string) string {
	if r.TLS != nil {
		scheme += "s"
	}
	host := r.Host
	if strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-._:[]") != "" {
		host = "example.com"
	}
	address := url.URL{Scheme: scheme, Host: host, Path: originalURL(r).Path}
	return address.String()
}
