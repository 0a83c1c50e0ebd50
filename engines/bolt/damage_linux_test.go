package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"go.etcd.io/bbolt"

	"github.com/caddyws/caddy-websocket/engines"
)

// A file that cannot be used is refused with its name, the fault and the cure, and
// stays as it is.
func TestDamagedFilesAreRefused(t *testing.T) {
	sample := filepath.Join(t.TempDir(), "sample.db")
	e := openEngine(t, sample)
	fill(t, e, 100, strings.Repeat("x", 1000))
	for i := range 3 { // which frees pages
		swap(t, e, key(i), loadRev(t, e, i), "short")
	}
	closeEngine(t, e)
	good, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	newest, _, err := readMetas(bytes.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	page := int(newest.pageSize)
	const restore, another = "restore it from a backup, or move it away", "name another file"
	for name, test := range map[string]struct {
		damage      func(p []byte) []byte
		fault, cure string
	}{
		"text":               {func([]byte) []byte { return []byte("rooms") }, "not a file of this engine", restore},
		"a long text":        {func([]byte) []byte { return bytes.Repeat([]byte("rooms "), 1<<14) }, "not a file of this engine", restore},
		"zeros":              {func(p []byte) []byte { return make([]byte, len(p)) }, "not a file of this engine", restore},
		"cut in half":        {func(p []byte) []byte { return p[:int(newest.pages)*page/2] }, "it is cut", restore},
		"cut by a byte":      {func(p []byte) []byte { return p[:int(newest.pages)*page-1] }, "it is cut", restore},
		"cut in a meta page": {func(p []byte) []byte { return p[:page+10] }, "it is cut", restore},
		"cut to a few bytes": {func(p []byte) []byte { return p[:50] }, "not a file of this engine", restore},
		"both meta pages":    {func(p []byte) []byte { p[50]++; p[page+50]++; return p }, "not a file of this engine", restore},
		"the list of free pages": {func(p []byte) []byte {
			clear(p[newest.free*newest.pageSize:][:pageHeader])
			return p
		}, "damaged, in its list of free pages", restore},
		"an entry of that list": {func(p []byte) []byte {
			p[newest.free*newest.pageSize+pageHeader+1]++
			return p
		}, "damaged, in its list of free pages", restore},
		"the length of that list": {func(p []byte) []byte {
			p[newest.free*newest.pageSize+10]++
			return p
		}, "damaged, in its list of free pages", restore},
		"the root": {func(p []byte) []byte {
			root := int(binary.NativeEndian.Uint64(p[int(newest.txid%2)*page+pageHeader+16:]))
			clear(p[root*page:][:page])
			return p
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := temporary(t)
			bad := test.damage(bytes.Clone(good))
			if err := os.WriteFile(path, bad, fileMode); err != nil {
				t.Fatal(err)
			}
			expectRefused(t, path, test.fault, test.cure)
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, bad) {
				t.Errorf("it has changed, %v", err)
			}
		})
	}
	for name, test := range map[string]struct {
		make        func(path string) error
		fault, cure string
	}{
		"a folder":                      {func(path string) error { return os.Mkdir(path, folderMode) }, "is a directory", another},
		"a file in place of its folder": {func(path string) error { return os.WriteFile(filepath.Dir(path), nil, fileMode) }, "not a directory", ""},
		"another program's": {func(path string) error {
			return updateFile(path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
		}, "of another program", another},
		"a newer format": {func(path string) error {
			return errors.Join(createFile(path), updateFile(path, func(tx *bbolt.Tx) error {
				return tx.Bucket(aboutBucket).Put(formatKey, []byte("caddy-websocket 9"))
			}))
		}, `its format is "caddy-websocket 9"`, ""},
		"a number that is missing": {func(path string) error {
			return errors.Join(createFile(path), updateFile(path, func(tx *bbolt.Tx) error { return tx.Bucket(aboutBucket).Delete(countKey) }))
		}, "damaged", restore},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "rooms.db")
			if !strings.Contains(name, "folder") || name == "a folder" {
				if err := os.Mkdir(filepath.Dir(path), folderMode); err != nil {
					t.Fatal(err)
				}
			}
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			expectRefused(t, path, test.fault, test.cure)
		})
	}
}

// expectRefused expects that the file cannot be opened, twice, as nothing is left of
// the first attempt.
func expectRefused(t *testing.T, path, fault, cure string) {
	t.Helper()
	for range 2 {
		_, err := tryOpen(path)
		if err == nil {
			t.Fatal("it is opened")
		}
		for _, part := range []string{path, fault, cure} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v, without %q", err, part)
			}
		}
	}
}

func updateFile(path string, do func(*bbolt.Tx) error) error {
	db, err := bbolt.Open(path, fileMode, nil)
	if err != nil {
		return err
	}
	return errors.Join(db.Update(do), db.Close())
}

// A meta page that was being written when the power went is made up for by the
// other.
func TestOneMetaPageIsEnough(t *testing.T) {
	for _, page := range []int{0, 1} {
		path := temporary(t)
		e := openEngine(t, path)
		rev := swap(t, e, key(0), 0, "one")
		rev = swap(t, e, key(0), rev, "two")
		swap(t, e, key(0), rev, "three")
		closeEngine(t, e)
		p, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		newest, _, err := readMetas(bytes.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		at := page * os.Getpagesize()
		copy(p[at+40:], "half a page")
		if err := os.WriteFile(path, p, fileMode); err != nil {
			t.Fatal(err)
		}
		e = openEngine(t, path)
		expect(t, e, key(0), map[bool]string{true: "two", false: "three"}[int(newest.txid%2) == page])
		if err := sound(e); err != nil {
			t.Error(err)
		}
	}
}

// A process without the right to a file is told so.
func TestForbiddenFile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a process as somebody else")
	}
	path := temporary(t)
	closeEngine(t, openEngine(t, path))
	letAllIn(t, path)
	for range 2 { // the lock first, then the file
		out, err := childAsNobody(t, path)
		for _, part := range []string{path, "permission denied", "has to be able to write"} {
			if !strings.Contains(string(out), part) {
				t.Errorf("%s, %v, without %q", out, err, part)
			}
		}
		if err := os.Chmod(path+lockSuffix, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// On a file system that is read-only nothing is opened, and on a full one nothing
// is lost.
func TestFileSystems(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("rooms", folder, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("mounting a file system: %v", err)
	}
	defer syscall.Unmount(folder, syscall.MNT_DETACH)
	path := filepath.Join(folder, "rooms.db")
	e := openEngine(t, path)
	rev := swap(t, e, key(0), 0, "kept")
	large := strings.Repeat("x", maxState)
	for room, full := 1, false; !full; room++ {
		_, err := e.Swap(t.Context(), key(room), 0, value(large))
		if full = err != nil; full && !errors.Is(err, engines.ErrRefused) {
			t.Fatalf("a disk that is full: %v", err)
		}
	}
	expect(t, e, key(0), "kept")
	if err := syscall.Mount("rooms", folder, "tmpfs", syscall.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	swap(t, e, key(0), rev, "small")
	if err := sound(e); err != nil {
		t.Error(err)
	}
	closeEngine(t, e)
	if err := syscall.Mount("rooms", folder, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	expectRefused(t, path, "read-only file system", "on another file system")
}

// Damage within the file costs the rooms that it hits, and no others.
func TestDamagedRoom(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	fine := strings.Repeat("fine", 100)
	revs := fill(t, e, 20, fine)
	damage(t, e, key(1))
	ctx := t.Context()
	if _, _, err := e.Load(ctx, key(1)); err == nil || errors.Is(err, engines.ErrNotFound) || !strings.Contains(err.Error(), "restore the file from a backup") {
		t.Errorf("loading: %v", err)
	}
	for _, rev := range []uint64{0, revs[1]} {
		if _, err := e.Swap(ctx, key(1), rev, value("new")); !errors.Is(err, engines.ErrRefused) {
			t.Errorf("swapping: %v", err)
		}
	}
	if err := e.Delete(ctx, key(1), revs[1]); !errors.Is(err, engines.ErrRefused) {
		t.Errorf("deleting: %v", err)
	}
	expect(t, e, key(0), fine)
	swap(t, e, key(2), revs[2], "better")
	closeEngine(t, e)
	e = openEngine(t, path)
	if _, _, err := e.Load(ctx, key(1)); err == nil || errors.Is(err, engines.ErrNotFound) {
		t.Errorf("loading: %v", err)
	}
	if keys, err := e.List(ctx, engines.Key{}, 100); err != nil || len(keys) != 20 {
		t.Errorf("%v, %v", keys, err)
	}
}

// damage changes a byte of a room's state on disk.
func damage(t *testing.T, e *Engine, key engines.Key) {
	t.Helper()
	p, err := os.ReadFile(e.path)
	if err != nil {
		t.Fatal(err)
	}
	p[valueAt(t, e, key)+headerSize]++
	rewrite(t, e.path, p)
}

// valueAt returns where in the file a room's value is. There must be enough rooms for
// their bucket to have pages of its own.
func valueAt(t *testing.T, e *Engine, key engines.Key) (at int) {
	t.Helper()
	k, err := encodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.file.view(func(tb *tables) error {
		at = int(uintptr(unsafe.Pointer(&tb.rooms.Get(k)[0])) - e.file.db.Info().Data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return at
}

// rewrite changes the bytes of a file in place.
func rewrite(t *testing.T, path string, p []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteAt(p, 0)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// A page that is damaged, on which bbolt panics, costs the rooms on it. Those of other
// pages that are in the same transaction are stored, and readers get an error.
func TestDamagedPage(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	revs := fill(t, e, 20, strings.Repeat("x", 1000))
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := leafOf(t, e, key(5)) // which is in order far from key(0)
	clear(p[bad : bad+pageHeader])
	rewrite(t, path, p)
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for i, rev := range revs {
		wg.Go(func() {
			_, err := e.Swap(t.Context(), key(i), rev, value("new"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, engines.ErrRefused):
				refused++
			case err != nil:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if refused == 0 || refused > 6 {
		t.Errorf("%d of %d rooms are refused", refused, len(revs))
	}
	if _, _, err := e.Load(t.Context(), key(5)); err == nil || errors.Is(err, engines.ErrNotFound) {
		t.Errorf("loading: %v", err)
	}
	expect(t, e, key(0), "new")
}

// A page that bbolt meets when it commits: nothing of that transaction is stored, and the
// file is opened anew. When that goes on, the engine gives up and says why.
func TestDamageThatPanicsOnCommit(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	revs := fill(t, e, 20, strings.Repeat("x", 1000))
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := e.List(t.Context(), engines.Key{}, 20)
	if err != nil {
		t.Fatal(err)
	}
	first := leafOf(t, e, keys[0])
	second, inFirst := first, 1
	for ; second == first; inFirst++ {
		second = leafOf(t, e, keys[inFirst])
	}
	clear(p[second : second+pageHeader]) // into which an emptied first page is merged
	rewrite(t, path, p)
	room := func(key engines.Key) (n int) {
		_, _ = fmt.Sscanf(key.Room, "room %d", &n)
		return n
	}
	for i := 1; i < inFirst-2; i++ {
		if err := e.Delete(t.Context(), keys[i], revs[room(keys[i])]); err != nil {
			t.Fatal(err)
		}
	}
	last := keys[inFirst-2]
	remove := func() error { return e.Delete(t.Context(), last, revs[room(last)]) }
	for range maxPanics {
		if err := remove(); !errors.Is(err, engines.ErrRefused) || !strings.Contains(err.Error(), "committing") {
			t.Fatalf("deleting: %v", err)
		}
		expect(t, e, last, strings.Repeat("x", 1000))
	}
	if err := remove(); !errors.Is(err, errStuck) || isAnswer(err) {
		t.Errorf("deleting once more: %v", err)
	}
	if err := remove(); !errors.Is(err, errStuck) || !errors.Is(err, engines.ErrRefused) || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("deleting in the end: %v", err)
	}
	if _, _, err := e.Load(t.Context(), last); err == nil || errors.Is(err, engines.ErrNotFound) {
		t.Errorf("loading: %v", err)
	}
}

// leafOf returns where the page begins that has a room.
func leafOf(t *testing.T, e *Engine, key engines.Key) int {
	t.Helper()
	return valueAt(t, e, key) / os.Getpagesize() * os.Getpagesize()
}

// A file that somebody cuts while it is open is an error, and does not end the
// process.
func TestFileCutWhileOpen(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	revs := fill(t, e, 200, strings.Repeat("x", 1000))
	if err := os.Truncate(path, int64(2*os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Load(t.Context(), key(7)); err == nil || errors.Is(err, engines.ErrNotFound) {
		t.Errorf("loading: %v", err)
	}
	for i := range 3 {
		if _, err := e.Swap(t.Context(), key(i), revs[i], value("new")); !errors.Is(err, engines.ErrRefused) {
			t.Errorf("swapping: %v", err)
		}
	}
}

// While a file is open that its path names no more, nothing is acknowledged: it
// would be lost.
func TestFileReplacedWhileOpen(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"removed":  os.Remove,
		"moved":    func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error { return errors.Join(createFile(path+".other"), os.Rename(path+".other", path)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := temporary(t)
			e := openEngine(t, path)
			rev := swap(t, e, key(0), 0, "old")
			if err := replace(path); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := e.Swap(t.Context(), key(0), rev, value("new"))
				if !errors.Is(err, engines.ErrRefused) || !strings.Contains(err.Error(), "restart Caddy") {
					t.Errorf("swapping: %v", err)
				}
				if e.file != nil { // nor when it is opened anew
					e.file.broken.Store(true)
				}
			}
			if _, err := os.Stat(path); name != "replaced" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it was made again: %v", err)
			}
		})
	}
}
