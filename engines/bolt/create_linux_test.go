package bolt

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// emptyFile makes one as an operator does who prepares a file for Caddy.
func emptyFile(t *testing.T, mode os.FileMode) string {
	t.Helper()
	path := temporary(t)
	if err := os.WriteFile(path, nil, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// expectBegun expects that a file that was empty keeps rooms.
func expectBegun(t *testing.T, path string) {
	t.Helper()
	e := openEngine(t, path)
	mark := e.Mark()
	swap(t, e, key(0), 0, "kept")
	closeEngine(t, e)
	e = openEngine(t, path)
	expect(t, e, key(0), "kept")
	if e.Mark() != mark {
		t.Error("it has another mark")
	}
	if names := filesIn(t, filepath.Dir(path)); !slices.Equal(names, []string{"rooms.db", "rooms.db.lock"}) {
		t.Errorf("%q", names)
	}
	closeEngine(t, e)
}

// An empty file is as good as none. It keeps its owner, and its mode where that is
// stricter.
func TestEmptyFile(t *testing.T) {
	for mode, want := range map[os.FileMode]os.FileMode{0o600: 0o600, 0o664: 0o600, 0o200: 0o200} {
		path := emptyFile(t, mode)
		root := os.Chown(path, 65534, 65533) == nil
		if !root && want != 0o600 {
			continue // as only root may use it
		}
		expectBegun(t, path)
		info := mustStat(t, path)
		if info.Mode() != want {
			t.Errorf("mode %v became %v", mode, info.Mode())
		}
		if root {
			expectOwner(t, info, 65534, 65533)
		}
	}
}

// An empty file that is a mount point is filled where it is.
func TestEmptyFileThatIsMounted(t *testing.T) {
	path := mounted(t, emptyFile(t, 0o644))
	before := mustStat(t, path)
	expectBegun(t, path)
	if after := mustStat(t, path); !os.SameFile(before, after) || after.Mode() != fileMode {
		t.Errorf("mode %v, or another file", after.Mode())
	}
}

// So is one of which Caddy's user is not the owner.
func TestEmptyFileOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a process as somebody else")
	}
	path := emptyFile(t, 0o666)
	letAllIn(t, path)
	before := mustStat(t, path)
	if out, err := childAsNobody(t, path); err != nil || !strings.Contains(string(out), "closed") {
		t.Fatalf("%s, %v", out, err)
	}
	if !os.SameFile(before, mustStat(t, path)) {
		t.Error("it is another file")
	}
	expectBegun(t, path)
}

// Where a file cannot be filled for lack of space, it stays empty until there is some.
func TestEmptyFileOnAFullDisk(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("rooms", folder, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("mounting a file system: %v", err)
	}
	defer syscall.Unmount(folder, syscall.MNT_DETACH)
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	path := mounted(t, file)
	expectRefused(t, path, "no space left", "")
	if size := mustStat(t, path).Size(); size != 0 {
		t.Errorf("it has %d bytes", size)
	}
	if err := syscall.Mount("rooms", folder, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	expectBegun(t, path)
}
