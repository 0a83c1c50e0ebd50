package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/page"
)

// The one URL in the document is a name, not an address: nothing is requested.
const svgNamespace = "xmlns='http://www.w3.org/2000/svg'"

func get(serve http.HandlerFunc, method, etag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/sum", nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	serve(w, r)
	return w
}

func TestHeaders(t *testing.T) {
	w := get(page.Serve, "GET", "")
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
	for _, serve := range []http.HandlerFunc{page.Serve, page.ServeText} {
		full := get(serve, "GET", "")
		tag := full.Header().Get("ETag")
		tags[tag] = true
		again := get(serve, "GET", tag)
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("with its ETag %s: %d and %d bytes", tag, again.Code, again.Body.Len())
		}
		if again.Header().Get("Content-Security-Policy") == "" {
			t.Error("a 304 without policy")
		}
		if other := get(serve, "GET", `"page-of-before"`); other.Code != http.StatusOK {
			t.Errorf("with another ETag: %d", other.Code)
		}
		head := get(serve, "HEAD", "")
		if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Result().ContentLength != int64(full.Body.Len()) {
			t.Errorf("HEAD: %d, %d bytes, Content-Length %d", head.Code, head.Body.Len(), head.Result().ContentLength)
		}
	}
	if len(tags) != 2 {
		t.Errorf("two documents have %d ETags", len(tags))
	}
}

// A browser runs what the policy names, to the byte, and nothing else: no second
// element, no attribute that is style or script.
func TestPolicyNamesScriptAndStyle(t *testing.T) {
	for _, serve := range []http.HandlerFunc{page.Serve, page.ServeText} {
		w := get(serve, "GET", "")
		document, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
		for _, element := range []string{"script", "style"} {
			found := regexp.MustCompile(`(?is)<`+element+`\b([^>]*)>(.*?)</`+element+`>`).FindAllStringSubmatch(document, -1)
			if len(found) != 1 || found[0][1] != "" {
				t.Fatalf("%d elements %s, expected one without attributes", len(found), element)
			}
			sum := sha256.Sum256([]byte(found[0][2]))
			want := element + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
			if !strings.Contains(policy, want) {
				t.Errorf("the policy lacks %s: %s", want, policy)
			}
		}
		if strings.Contains(document, "\r") {
			t.Error("a carriage return: browsers drop it, and the hash differs")
		}
		if attribute := regexp.MustCompile(`(?i)<[a-z][^<>]*\s(style|on[a-z]+)\s*=`).FindString(document); attribute != "" {
			t.Errorf("the policy forbids %s", attribute)
		}
	}
}

func TestNothingElseIsRequested(t *testing.T) {
	document := strings.Replace(get(page.Serve, "GET", "").Body.String(), svgNamespace, "", 1)
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
	document := get(page.Serve, "GET", "").Body.String()
	for _, way := range []string{
		"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "setHTML", "createContextualFragment", "eval(", "Function(",
	} {
		if strings.Contains(document, way) {
			t.Errorf("the document uses %s", way)
		}
	}
}

func TestOnlyTheOfferDiffers(t *testing.T) {
	withJSON, textOnly := get(page.Serve, "GET", "").Body.String(), get(page.ServeText, "GET", "").Body.String()
	const offer, none = `<body data-state="connecting" data-subprotocol="json">`, `<body data-state="connecting" data-subprotocol="">`
	if strings.Count(withJSON, offer) != 1 || strings.Replace(withJSON, offer, none, 1) != textOnly {
		t.Errorf("the documents differ in more than %s", offer)
	}
}

// Every script of the folder is in the document, once.
func TestEveryScriptIsPartOfIt(t *testing.T) {
	document := get(page.Serve, "GET", "").Body.String()
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
	const most = 50 * 1000
	if size := get(page.Serve, "GET", "").Body.Len(); size >= most {
		t.Errorf("the page has %d bytes, expected less than %d", size, most)
	}
}
