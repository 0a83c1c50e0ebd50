package page_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/page"
)

const own = "<!DOCTYPE html><title>Ours</title>"

func TestOwnPage(t *testing.T) {
	d, err := page.Own([]byte(own))
	if err != nil {
		t.Fatal(err)
	}
	w := get(d, "GET", "")
	if w.Code != http.StatusOK || w.Body.String() != own || w.Header().Get("Content-Type") != "text/html; charset=utf-8" ||
		w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
	if policy, ok := w.Header()["Content-Security-Policy"]; ok {
		t.Errorf("a page of somebody else has our policy %q", policy)
	}
	if again := get(d, "GET", w.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("with its ETag: %d", again.Code)
	}
}

func TestOwnPageIsBounded(t *testing.T) {
	for _, test := range []struct{ html, want string }{
		{"", "it is empty"},
		{strings.Repeat("x", page.MaxSize), ""},
		{strings.Repeat("x", page.MaxSize+1), "it has more than 1048576 bytes"},
		{"caf\xe9", "it is not UTF-8"},
	} {
		_, err := page.Own([]byte(test.html))
		if got := errorText(err); got != test.want {
			t.Errorf("%d bytes: %q, expected %q", len(test.html), got, test.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// write makes a file that was changed at this second.
func write(t *testing.T, path, text string, second int64) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Unix(second, 0), time.Unix(second, 0)); err != nil {
		t.Fatal(err)
	}
}

// shown is what a file shows.
func shown(t *testing.T, f *page.File) string {
	t.Helper()
	d, err := f.Document()
	if err != nil {
		t.Fatal(err)
	}
	return get(d, "GET", "").Body.String()
}

// A file is shown as it is now, also when another has taken its place.
func TestFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	write(t, path, "one", 1)
	f, err := page.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := f.Document()
	if same, _ := f.Document(); shown(t, f) != "one" || same != first {
		t.Errorf("shown is %q, and the same again: %v", shown(t, f), same == first)
	}
	write(t, path, "two", 2) // as long
	if got := shown(t, f); got != "two" {
		t.Errorf("shown is %q", got)
	}
	write(t, path, "three", 2) // as old
	if got := shown(t, f); got != "three" {
		t.Errorf("shown is %q", got)
	}
	write(t, path+".new", "four", 4)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if got := shown(t, f); got != "four" {
		t.Errorf("shown is %q", got)
	}
}

// A file that becomes unreadable is an error, and shown again once it is back.
func TestFileIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	write(t, path, "one", 1)
	f, err := page.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(){
		"empty":     func() { write(t, path, "", 2) },
		"too large": func() { write(t, path, strings.Repeat("x", page.MaxSize+1), 3) },
		"gone":      func() { os.Remove(path) },
		"a folder":  func() { os.Remove(path); os.Mkdir(path, 0o700) },
	} {
		spoil()
		if _, err := f.Document(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, expected an error that names the file", what, err)
		}
		os.Remove(path)
		write(t, path, "back "+what, 4)
		if got := shown(t, f); got != "back "+what {
			t.Errorf("after %s shown is %q", what, got)
		}
	}
}

func TestFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.html")
	if _, err := page.Open(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "page file: ") || !strings.Contains(err.Error(), missing) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := page.Open(dir); err == nil || err.Error() != "page file "+dir+": it is no regular file" {
		t.Errorf("a folder: %v", err)
	}
}
