package bolt

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A file that root compacts stays the file of its user.
func TestCompactionKeepsTheOwner(t *testing.T) {
	const user, group = 65534, 65533
	path := temporary(t)
	e := openEngine(t, path)
	makeWasteful(t, e)
	closeEngine(t, e)
	if err := os.Chown(path, user, group); err != nil {
		t.Skipf("giving a file to another user: %v", err)
	}
	before := mustStat(t, path)
	expectSmall(t, openEngine(t, path))
	after := mustStat(t, path)
	if os.SameFile(before, after) {
		t.Fatal("it is not compacted")
	}
	expectOwner(t, after, user, group)
}

// A file that is a mount point cannot be replaced. It is used as it is, each time.
func TestCompactionOfAMountPoint(t *testing.T) {
	origin := temporary(t)
	e := openEngine(t, origin)
	makeWasteful(t, e)
	closeEngine(t, e)
	path := mounted(t, origin)
	before := mustStat(t, path)
	for range 2 {
		e := openEngine(t, path)
		expectSmall(t, e)
		swap(t, e, key(0), loadRev(t, e, 0), "small")
		closeEngine(t, e)
	}
	after := mustStat(t, path)
	if !os.SameFile(before, after) || after.Size() < before.Size() {
		t.Error("it is another file")
	}
	if _, err := os.Stat(path + compactSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is left: %v", err)
	}
}

// A copy that cannot have the owner of the file does not replace it.
func TestCompactionThatCannotKeepTheOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a process as somebody else")
	}
	path := temporary(t)
	e := openEngine(t, path)
	makeWasteful(t, e)
	closeEngine(t, e)
	for _, name := range []string{path, path + lockSuffix} {
		if err := os.Chmod(name, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	letAllIn(t, path)
	before := mustStat(t, path)
	if out, err := childAsNobody(t, path); err != nil || !strings.Contains(string(out), "closed") {
		t.Fatalf("%s, %v", out, err)
	}
	if after := mustStat(t, path); !os.SameFile(before, after) || after.Size() < before.Size() {
		t.Error("it is another file")
	}
	if names := filesIn(t, filepath.Dir(path)); !slices.Equal(names, []string{"rooms.db", "rooms.db.lock"}) {
		t.Errorf("%q", names)
	}
	expectSmall(t, openEngine(t, path))
}

// mounted returns a path where the file is a mount point, as in a container.
func mounted(t *testing.T, file string) string {
	t.Helper()
	path := temporary(t)
	if err := os.WriteFile(path, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(file, path, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("mounting a file: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path
}

func expectOwner(t *testing.T, info fs.FileInfo, user, group int) {
	t.Helper()
	if u, g, ok := owner(info); !ok || u != user || g != group {
		t.Errorf("it belongs to %d of %d", u, g)
	}
}
