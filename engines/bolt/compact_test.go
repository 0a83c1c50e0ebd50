package bolt

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// makeWasteful leaves rooms 0 to 9 in a file that had many large ones.
func makeWasteful(t testing.TB, e *Engine) {
	t.Helper()
	const large = 28
	revs := fill(t, e, large, strings.Repeat("x", maxState))
	for i, rev := range revs {
		rev = swap(t, e, key(i), rev, "small")
		if i >= 10 {
			if err := e.Delete(t.Context(), key(i), rev); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// expectSmall expects what makeWasteful leaves.
func expectSmall(t testing.TB, e *Engine) {
	t.Helper()
	for i := range 10 {
		expect(t, e, key(i), "small")
	}
	if n, err := e.Count(t.Context()); err != nil || n != 10 {
		t.Errorf("%d rooms, %v", n, err)
	}
	if err := sound(e); err != nil {
		t.Error(err)
	}
}

// A file that has become much larger than its content is compacted when it is
// opened. Nothing else changes.
func TestCompaction(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	makeWasteful(t, e)
	rev := swap(t, e, key(0), loadRev(t, e, 0), "small")
	mark := e.Mark()
	closeEngine(t, e)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	before := mustStat(t, path).Size()
	e = openEngine(t, path)
	after := mustStat(t, path)
	if before < 28*maxState || after.Size() > 1<<20 || after.Mode() != 0o640 {
		t.Errorf("%d bytes became %d, mode %v", before, after.Size(), after.Mode())
	}
	expectSmall(t, e)
	if e.Mark() != mark {
		t.Error("it has another mark")
	}
	if loadRev(t, e, 0) != rev {
		t.Error("a revision has changed")
	}
	if next := swap(t, e, key(100), 0, "new"); next != rev+1 {
		t.Errorf("revision %d after %d", next, rev)
	}
	if names := filesIn(t, strings.TrimSuffix(path, "/rooms.db")); !slices.Equal(names, []string{"rooms.db", "rooms.db.lock"}) {
		t.Errorf("%q", names)
	}
	closeEngine(t, e)
	openEngine(t, path)
	if !os.SameFile(after, mustStat(t, path)) {
		t.Error("it was compacted again")
	}
}

func loadRev(t testing.TB, e *Engine, room int) uint64 {
	t.Helper()
	_, rev, err := e.Load(t.Context(), key(room))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// What a compaction left that was cut off is removed, and the file is compacted.
func TestCompactionAfterOneThatWasCutOff(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	makeWasteful(t, e)
	closeEngine(t, e)
	for _, left := range []string{"", "garbage", strings.Repeat("\x00", 1<<20)} {
		if err := os.WriteFile(path+compactSuffix, []byte(left), fileMode); err != nil {
			t.Fatal(err)
		}
		e = openEngine(t, path)
		expectSmall(t, e)
		closeEngine(t, e)
		if _, err := os.Stat(path + compactSuffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it is still there: %v", err)
		}
	}
}

// A compaction that cannot be done is put off, and the file is as it was.
func TestCompactionThatFails(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	makeWasteful(t, e)
	closeEngine(t, e)
	before := mustStat(t, path)
	f, err := openFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	same, err := compact(ctx, f, path)
	if err != nil || same != f {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path+compactSuffix+"/in the way", folderMode); err != nil {
		t.Fatal(err)
	}
	if same, err = compact(t.Context(), f, path); err != nil || same != f {
		t.Fatal(err)
	}
	f.close()
	if err := os.RemoveAll(path + compactSuffix); err != nil {
		t.Fatal(err)
	}
	if after := mustStat(t, path); !os.SameFile(before, after) || after.Size() != before.Size() {
		t.Error("the file has changed")
	}
	expectSmall(t, openEngine(t, path))
}
