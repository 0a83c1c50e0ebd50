//go:build unix

package page_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/caddyws/caddy-websocket/page"
)

// Opening a pipe that nobody writes to would never end.
func TestPipeIsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := page.Open(path); err == nil || err.Error() != "page file "+path+": it is no regular file" {
		t.Errorf("a pipe: %v", err)
	}
}

func TestForbiddenFile(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := page.Open(path); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a forbidden file: %v", err)
	}
}
