package bolt

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// A file that another process holds is not opened, and the error tells which one,
// what it holds and what to do.
func TestAnotherProcessHoldsTheFile(t *testing.T) {
	path := temporary(t)
	cmd, out := startChild(t, "hold", path, nil)
	if !out.Scan() || out.Text() != "open" {
		t.Fatalf("%q, %v", out.Text(), out.Err())
	}
	_, err := tryOpen(path)
	for _, part := range []string{path, "another process (" + strconv.Itoa(cmd.Process.Pid) + ")", "stop it", "engine bolt <path>"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v, without %q", err, part)
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	openEngine(t, path)
}

// An engine of this process that closes is waited for, as long as the context
// allows; and who waits sees what was stored, though the file was replaced
// meanwhile by a compacted one.
func TestOpenWaitsForTheEngineBefore(t *testing.T) {
	path := temporary(t)
	first := openEngine(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (&Opener{Path: path}).Open(ctx); err == nil || !strings.Contains(err.Error(), "holds") {
		t.Fatal(err)
	}
	makeWasteful(t, first)
	opened := make(chan *Engine, 2)
	for range 2 {
		go func() {
			e, err := tryOpen(path)
			if err != nil {
				t.Error(err)
			}
			opened <- e
		}()
	}
	before := mustStat(t, path)
	closeEngine(t, first)
	var rev uint64
	for range 2 {
		e := <-opened
		if e == nil {
			t.FailNow()
		}
		p, now, err := e.Load(t.Context(), key(-1))
		if err != nil && !errors.Is(err, engines.ErrNotFound) || now != rev {
			t.Errorf("%q at %d, %v; want revision %d", p, now, err, rev)
		}
		rev = swap(t, e, key(-1), rev, "mine")
		closeEngine(t, e)
	}
	if after := mustStat(t, path); os.SameFile(before, after) {
		t.Error("the file was not compacted")
	}
}

func mustStat(t testing.TB, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// Nobody but the owner may read the file.
func TestModes(t *testing.T) {
	path := t.TempDir() + "/new/rooms.db"
	openEngine(t, path)
	for name, want := range map[string]os.FileMode{path: 0o600, path + lockSuffix: 0o600, path + "/..": 0o700 | os.ModeDir} {
		info, err := os.Stat(strings.TrimSuffix(name, "/rooms.db/.."))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}
