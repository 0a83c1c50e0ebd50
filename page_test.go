package caddyws

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
)

// asBrowser is how Firefox asks for a page.
const asBrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// browse opens a path as a browser does.
func (s *server) browse(path string) (*http.Response, string) {
	s.t.Helper()
	return s.raw("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAccept: " + asBrowser + "\r\n\r\n")
}

// The page of an app is shown where the option page is, and only there.
func TestPageOfTheApp(t *testing.T) {
	s := start(t, `:PORT {
		websocket /own test_page {
			page
		}
		websocket /none test_page
		websocket /report test_report {
			page
		}
	}`)
	answer, body := s.browse("/own")
	if answer.StatusCode != http.StatusOK || body != "<p>The app's own" || answer.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
		answer.Header.Get("Content-Security-Policy") != "" || answer.Header.Get("Vary") != "Accept, Origin" {
		t.Errorf("%s %v %q", answer.Status, answer.Header, body)
	}
	if answer, body := s.browse("/none"); answer.StatusCode != http.StatusUpgradeRequired || strings.Contains(body, "own") {
		t.Errorf("without page: %s %q", answer.Status, body)
	}
	if answer, body := s.browse("/report"); answer.StatusCode != http.StatusOK || !strings.Contains(body, "new WebSocket(") {
		t.Errorf("of an app without a page: %s %q", answer.Status, body)
	}
}

// A file is shown in place of the page of the module or the app, as it is now. While it
// cannot be read that is an error that the log explains.
func TestPageFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("<p>one")
	s := start(t, ":PORT {\n websocket /sum sum {\n page {\n file "+path+"\n }\n }\n websocket /own test_page {\n page {\n file "+path+"\n }\n }\n}")
	shows := func(status int, text string) {
		t.Helper()
		for _, path := range []string{"/sum", "/own"} {
			if answer, body := s.browse(path); answer.StatusCode != status || body != text {
				t.Errorf("%s: %s %q, want %d %q", path, answer.Status, body, status, text)
			}
		}
	}
	shows(http.StatusOK, "<p>one")
	write("<p>and two")
	shows(http.StatusOK, "<p>and two")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	shows(http.StatusInternalServerError, "")
	e := logged.wait(t, "the refusal", isMessage("request refused"))
	if e["level"] != zapcore.ErrorLevel.String() || e["option"] != "page" || e["reason"] != "the page cannot be read" || !strings.Contains(e["error"].(string), path) {
		t.Errorf("the log has %v", e)
	}
	write("<p>back")
	shows(http.StatusOK, "<p>back")
	s.dial("/sum").ask("1", "1")
}

// Title and unit are told to the page as text, whatever they have.
func TestPageTitleIsText(t *testing.T) {
	s := start(t, ":PORT {\n websocket sum {\n page {\n title `\"><script>alert(1)</script>`\n unit `\"<b>`\n }\n }\n}")
	_, body := s.browse("/")
	if want := `data-title="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" data-unit="&#34;&lt;b&gt;">`; !strings.Contains(body, want) || strings.Contains(body, "alert(1)</script>") {
		t.Errorf("the page lacks %s", want)
	}
}
