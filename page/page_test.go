package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/client/browser"
	"github.com/caddyws/caddy-websocket/page"
)

// The one URL in the document is a name, not an address: nothing is requested.
const svgNamespace = "xmlns='http://www.w3.org/2000/svg'"

// hostile is a text that would end every element and attribute it could stand in.
const hostile = `"'></title></style></script><script>alert(1)</script><img src=x onerror=alert(1)>&amp;`

// documents are pages of this module with all options.
func documents() map[string]*page.Document {
	return map[string]*page.Document{
		"plain":   page.New(page.Options{}),
		"text":    page.New(page.Options{TextOnly: true}),
		"answers": page.New(page.Options{Answers: true}),
		"chat":    page.New(page.Options{Chat: true}),
		"reader":  page.New(page.Options{ReadOnly: true}),
		"named":   page.New(page.Options{Title: "Guests today", Unit: "people"}),
		"hostile": page.New(page.Options{Title: hostile, Unit: hostile}),
	}
}

func get(d *page.Document, method, etag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/sum", nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// text returns the document without options.
func text() string { return get(page.New(page.Options{}), "GET", "").Body.String() }

func TestHeaders(t *testing.T) {
	w := get(page.New(page.Options{}), "GET", "")
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	for name, want := range map[string]string{
		"Content-Type":           "text/html; charset=utf-8",
		"X-Content-Type-Options": "nosniff",
		"Referrer-Policy":        "no-referrer",
		"Cache-Control":          "no-cache",
	} {
		if got := w.Header().Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, expected %q", name, got, want)
		}
	}
	directives := strings.Split(w.Header().Get("Content-Security-Policy"), "; ")
	for _, want := range []string{
		"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'",
		"require-trusted-types-for 'script'", "trusted-types 'none'",
	} {
		if !slices.Contains(directives, want) {
			t.Errorf("the policy lacks %s: %q", want, directives)
		}
	}
}

func TestOneETagADocument(t *testing.T) {
	tags := map[string]bool{}
	for _, d := range documents() {
		full := get(d, "GET", "")
		tag := full.Header().Get("ETag")
		tags[tag] = true
		again := get(d, "GET", tag)
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("with its ETag %s: %d and %d bytes", tag, again.Code, again.Body.Len())
		}
		if again.Header().Get("Content-Security-Policy") == "" {
			t.Error("a 304 without policy")
		}
		if other := get(d, "GET", `"page-of-before"`); other.Code != http.StatusOK {
			t.Errorf("with another ETag: %d", other.Code)
		}
		head := get(d, "HEAD", "")
		if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Result().ContentLength != int64(full.Body.Len()) {
			t.Errorf("HEAD: %d, %d bytes, Content-Length %d", head.Code, head.Body.Len(), head.Result().ContentLength)
		}
	}
	if len(tags) != len(documents()) {
		t.Errorf("%d documents have %d ETags", len(documents()), len(tags))
	}
}

// A browser runs what the policy names, to the byte, and nothing else: no second
// element, no attribute that is style or script, whatever the options are. The script is a
// module.
func TestPolicyNamesScriptAndStyle(t *testing.T) {
	for name, d := range documents() {
		w := get(d, "GET", "")
		document, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
		for element, attributes := range map[string]string{"script": ` type="module"`, "style": ""} {
			found := regexp.MustCompile(`(?is)<`+element+`\b([^>]*)>(.*?)</`+element+`>`).FindAllStringSubmatch(document, -1)
			if len(found) != 1 || found[0][1] != attributes {
				t.Fatalf("%s: %d elements %s, expected one with the attributes %q", name, len(found), element, attributes)
			}
			sum := sha256.Sum256([]byte(found[0][2]))
			want := element + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %s: %s", name, want, policy)
			}
		}
		bare := regexp.MustCompile(`="[^"]*"`).ReplaceAllString(document, "=")
		if strings.Contains(document, "\r") {
			t.Errorf("%s: a carriage return: browsers drop it, and the hash differs", name)
		}
		if attribute := regexp.MustCompile(`(?i)<[a-z][^<>]*\s(style|on[a-z]+)\s*=`).FindString(bare); attribute != "" {
			t.Errorf("%s: the policy forbids %s", name, attribute)
		}
	}
}

// Options are attributes, each in its place, and nothing else differs.
func TestOptionsAreAttributes(t *testing.T) {
	body := func(o page.Options) string {
		document := get(page.New(o), "GET", "").Body.String()
		tag := regexp.MustCompile(`<body [^>]*>`).FindString(document)
		if strings.Replace(document, tag, "<body>", 1) != strings.Replace(text(), `<body data-state="connecting" data-subprotocol="json" data-chat="" data-answers="" data-readonly="" data-title="" data-unit="">`, "<body>", 1) {
			t.Errorf("%+v: more than the body's tag differs", o)
		}
		return tag
	}
	for _, test := range []struct {
		options page.Options
		want    string
	}{
		{page.Options{}, `data-subprotocol="json" data-chat="" data-answers="" data-readonly="" data-title="" data-unit="">`},
		{page.Options{TextOnly: true}, `data-subprotocol="" data-chat="" data-answers="" data-readonly="" data-title="" data-unit="">`},
		{page.Options{Chat: true}, `data-subprotocol="json" data-chat="yes" data-answers="" data-readonly="" data-title="" data-unit="">`},
		{page.Options{Answers: true}, `data-answers="yes" data-readonly="" data-title="" data-unit="">`},
		{page.Options{ReadOnly: true}, `data-answers="" data-readonly="yes" data-title="" data-unit="">`},
		{page.Options{Title: "Guests", Unit: "°C"}, `data-title="Guests" data-unit="°C">`},
		{page.Options{Title: `data-unit=""`, Unit: "x"}, `data-title="data-unit=&#34;&#34;" data-unit="x">`},
		{page.Options{Title: hostile}, `data-title="` + html.EscapeString(hostile) + `" data-unit="">`},
	} {
		if got := body(test.options); !strings.HasSuffix(got, test.want) {
			t.Errorf("%+v: %s, expected %s", test.options, got, test.want)
		}
	}
}

// The client for browsers speaks to the room, at the URL that it is given, and the rest of
// the document to nobody.
func TestNothingElseIsRequested(t *testing.T) {
	document := strings.NewReplacer(svgNamespace, "", string(browser.Module()), "").Replace(text())
	if len(document)+len(browser.Module())+len(svgNamespace) != len(text()) {
		t.Fatal("the client for browsers is not once in the document")
	}
	for _, pattern := range []string{
		`(?i)\b(https?|wss?|ftp):`, `["'(=]//`, `(?i)\bsrc\s*=`, `(?i)\bsrcset\b`, `(?i)@import`, `\burl\(`, `(?i)\bfetch\(`,
		`(?i)XMLHttpRequest`, `(?i)EventSource`, `(?i)sendBeacon`, `\bimport\b`, `<link rel="[^i]`, `href="[^d]`,
	} {
		if found := regexp.MustCompile(pattern).FindString(document); found != "" {
			t.Errorf("the document has %q", found)
		}
	}
}

// Messages are text of strangers.
func TestNoTextBecomesHTML(t *testing.T) {
	document := text()
	for _, way := range []string{
		"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "setHTML", "createContextualFragment", "eval(", "Function(",
	} {
		if strings.Contains(document, way) {
			t.Errorf("the document uses %s", way)
		}
	}
}

// Every script of the folder is in the document, once.
func TestEveryScriptIsPartOfIt(t *testing.T) {
	document := text()
	files, err := filepath.Glob("*.js")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, "style.css") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(document, string(text)); n != 1 {
			t.Errorf("%s is %d times in the document", file, n)
		}
	}
}

func TestSize(t *testing.T) {
	const most = 66 * 1000
	if size := len(text()); size >= most {
		t.Errorf("the page has %d bytes, expected less than %d", size, most)
	}
}
