package caddyws

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// here is where the admin API of the server is.
func (s *server) here() adminAddress {
	return adminAddress{address: "unix/" + s.dir + "/admin.sock"}
}

// A copy made while clients go on has what was acknowledged before. Put back, it goes on
// from there; nobody takes its points for those seen before.
func TestABackupIsPutBack(t *testing.T) {
	s := start(t, total("{message}"))
	c := s.dial("/sum")
	c.ask("5", "5")
	before := s.state("/sum")
	done, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(end)
		for {
			select {
			case <-done:
				return
			default:
				s.request(http.MethodPost, "/other", "1")
			}
		}
	}()
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := backup(s.here(), copied); err != nil {
		t.Fatal(err)
	}
	close(done)
	<-end
	c.ask("1", "6")
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v, %v", info.Mode(), err)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copied, s.defaultFile()); err != nil {
		t.Fatal(err)
	}
	s.load(total("{message}"))
	after := s.state("/sum")
	if after.Total != before.Total || after.Version != before.Version || after.Epoch == before.Epoch {
		t.Errorf("was %+v, is %+v", before, after)
	}
	s.dial("/sum").ask("1", "6")
}

// A backup is written to a new file or not at all, and says why not.
func TestBackupsThatFail(t *testing.T) {
	s := start(t, ":PORT {\n websocket /chat broadcast\n}")
	dir := t.TempDir()
	fails := func(from adminAddress, name, reason string) {
		t.Helper()
		if err := backup(from, name); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("got %v, want %q", err, reason)
		}
	}
	fails(s.here(), filepath.Join(dir, "a"), "nothing is stored")
	s.load("GLOBAL websocket {\n engine memory\n}\nEND\n" + total("{message}"))
	fails(s.here(), filepath.Join(dir, "a"), "nothing is stored")
	s.load(":PORT {\n respond ok\n}")
	fails(s.here(), filepath.Join(dir, "a"), "no websocket route")
	s.load(total("{message}"))
	fails(adminAddress{address: "unix/" + dir + "/none.sock"}, filepath.Join(dir, "a"), "asking the admin API")
	fails(s.here(), filepath.Join(dir, "none", "a"), "no such file")
	existing := filepath.Join(dir, "existing")
	if err := os.WriteFile(existing, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(s.here(), existing, "exists")
	fails(adminAddress{address: "unix/" + dir + "/none.sock"}, existing, "exists") // nobody is asked for what cannot be kept
	if p, err := os.ReadFile(existing); err != nil || string(p) != "precious" {
		t.Errorf("the file has %q, %v", p, err)
	}
	half := func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, errors.New("connection reset"))
	}
	if err := writeNew(filepath.Join(dir, "cut"), half); err == nil {
		t.Error("a copy that was cut counts as whole")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	status, body := s.admin(http.MethodPost, backupPath, "", "")
	if status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d %s", status, body)
	}
}

// When Caddy ends, a backup whose client takes nothing is broken off: Caddy would wait
// for it.
func TestBackupsEndWithCaddy(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan error)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b := &backupWriter{response: w, control: http.NewResponseController(w), end: time.Now().Add(backupLimit)}
		defer adminBackups.enter(b.breakOff)()
		close(begun)
		for {
			if _, err := b.Write(make([]byte, 1<<20)); err != nil {
				_, again := b.Write([]byte("x"))
				ended <- again
				return
			}
		}
	}))
	defer site.Close()
	answer, err := http.Get(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	<-begun
	adminBackups.endAll()
	select {
	case err := <-ended:
		if err != errStopping {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the backup goes on")
	}
}

func TestTheCommandIsRegistered(t *testing.T) {
	if _, ok := caddycmd.Commands()["websocket"]; !ok {
		t.Error("there is no command websocket")
	}
}
