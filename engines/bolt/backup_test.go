package bolt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A backup of a file that is written to has all rooms as of one moment, and each time
// it is put in place it has another mark.
func TestBackup(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	swap(t, e, key(0), 0, "kept")
	var writers sync.WaitGroup
	over := make(chan struct{})
	for _, room := range []int{1, 2} { // each is never more than a step ahead of what was read
		writers.Go(func() {
			var rev uint64
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				var err error
				if rev, err = e.Swap(context.Background(), key(room), rev, value(strings.Repeat("x", n%5000))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	marks := map[string]bool{e.Mark(): true}
	for range 5 {
		var out bytes.Buffer
		if err := e.Backup(&out); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(out.Bytes(), e.mark) {
			t.Error("the mark is in the backup")
		}
		for range 2 {
			restored := temporary(t)
			if err := os.WriteFile(restored, out.Bytes(), fileMode); err != nil {
				t.Fatal(err)
			}
			copied := openEngine(t, restored)
			expect(t, copied, key(0), "kept")
			if err := sound(copied); err != nil {
				t.Error(err)
			}
			mark := copied.Mark()
			if marks[mark] || len(mark) != 2*markSize {
				t.Errorf("the mark %q again", mark)
			}
			marks[mark] = true
			closeEngine(t, copied)
			again := openEngine(t, restored)
			if again.Mark() != mark {
				t.Error("the mark does not stay")
			}
			closeEngine(t, again)
		}
	}
	close(over)
	writers.Wait()
}

// Neither Close nor opening the file anew waits for a backup to be complete. The backup
// fails.
func TestBackupIsCutOff(t *testing.T) {
	for name, cut := range map[string]func(e *Engine, f *file){
		"closed": func(e *Engine, f *file) {
			go e.Close()
			for !f.broken.Load() {
				runtime.Gosched()
			}
		},
		"opened anew": func(e *Engine, f *file) {
			f.broken.Store(true)
			expect(t, e, key(0), strings.Repeat("x", maxState))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := temporary(t)
			e := openEngine(t, path)
			fill(t, e, 5, strings.Repeat("x", maxState))
			f, once := e.file, new(sync.Once)
			err := e.Backup(writerFunc(func(p []byte) (int, error) {
				once.Do(func() { cut(e, f) })
				return len(p), nil
			}))
			if err != errCutOff {
				t.Errorf("it is complete: %v", err)
			}
			e.Close()
			expect(t, openEngine(t, path), key(4), strings.Repeat("x", maxState))
		})
	}
}

// Close ends a backup whose reader takes nothing any more. It does not wait for it.
func TestCloseEndsABackupThatIsBlocked(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	fill(t, e, 5, strings.Repeat("x", maxState))
	once := new(sync.Once)
	err := e.Backup(writerFunc(func(p []byte) (int, error) {
		once.Do(func() {
			closeEngine(t, e)
			expect(t, openEngine(t, path), key(4), strings.Repeat("x", maxState)) // as the lock is free
		})
		return len(p), nil
	}))
	if err != errCutOff {
		t.Errorf("it is complete: %v", err)
	}
}

// A commit goes on while a backup's reader takes nothing. Where bbolt would wait for the
// backup, it is ended.
func TestCommitWhileABackupIsBlocked(t *testing.T) {
	for name, test := range map[string]struct {
		reserved int
		ends     bool
	}{"address space is reserved": {addressSpace(), addressSpace() == 0}, "address space is not reserved": {0, true}} {
		t.Run(name, func(t *testing.T) {
			path := temporary(t)
			e := openEngine(t, path)
			reserve(t, e, test.reserved)
			fill(t, e, 10, strings.Repeat("x", 10000))
			once := new(sync.Once)
			err := e.Backup(writerFunc(func(p []byte) (int, error) {
				once.Do(func() {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					for room := 10; room < 15; room++ {
						if _, err := e.Swap(ctx, key(room), 0, value(strings.Repeat("x", maxState))); err != nil {
							t.Error(err)
						}
					}
				})
				return len(p), nil
			}))
			if test.ends && err != errCutOff || !test.ends && err != nil {
				t.Errorf("the backup: %v", err)
			}
			if err := e.Backup(io.Discard); err != nil {
				t.Errorf("the next backup: %v", err)
			}
		})
	}
}

// reserve opens the file of an engine, where nothing is under way, with a certain address
// space.
func reserve(t *testing.T, e *Engine, size int) {
	t.Helper()
	e.file.close()
	f, err := openDB(e.path, size)
	if err != nil {
		t.Fatal(err)
	}
	f.info, f.txid = e.file.info, e.file.txid
	e.file = f
}

// The mark is erased wherever a write ends.
func TestEraser(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	mark := newMark()
	for range 1000 {
		var in, want bytes.Buffer
		for range random.IntN(4) {
			noise := bytes.Repeat(mark[:random.IntN(markSize)], random.IntN(3))
			in.Write(append(noise, mark...))
			want.Write(append(noise, make([]byte, markSize)...))
		}
		in.Write(mark[:markSize-1])
		want.Write(mark[:markSize-1])
		if bytes.Count(in.Bytes(), mark) != bytes.Count(want.Bytes(), make([]byte, markSize)) {
			continue
		}
		var out bytes.Buffer
		e := &eraser{w: &out, erase: mark}
		for p := in.Bytes(); len(p) > 0; {
			n := 1 + random.IntN(len(p))
			if _, err := e.Write(p[:n]); err != nil {
				t.Fatal(err)
			}
			p = p[n:]
		}
		if err := e.flush(); err != nil || !bytes.Equal(out.Bytes(), want.Bytes()) {
			t.Fatalf("%x became %x, %v", in.Bytes(), out.Bytes(), err)
		}
	}
	fault := errors.New("full")
	e := &eraser{w: writerFunc(func([]byte) (int, error) { return 0, fault }), erase: mark}
	if _, err := e.Write(make([]byte, 100)); err != fault {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Paths that lead to one file are one identity, also before it is there.
func TestIdentity(t *testing.T) {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(folder)
	for link, target := range map[string]string{
		"link": "real", "absolute": filepath.Join(folder, "real"), "rooms.db": "real/sub/rooms.db", "loop": "loop", "two": "link/../up",
	} {
		if err := os.Symlink(target, link); err != nil {
			t.Skipf("making links: %v", err)
		}
	}
	if err := os.Mkdir("real", folderMode); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(folder, "real", "sub", "rooms.db")
	for _, there := range []bool{false, true} {
		for _, path := range []string{want, "real/sub/rooms.db", "link/sub/rooms.db", "absolute/sub/../sub/rooms.db", "rooms.db"} {
			if got := (&Opener{Path: path}).Identity(); got != want {
				t.Errorf("%s: %s", path, got)
			}
		}
		if !there {
			openEngine(t, "link/sub/rooms.db")
		}
	}
	if got := (&Opener{Path: "loop"}).Identity(); filepath.Base(got) != "loop" {
		t.Error(got)
	}
	if got := (&Opener{Path: "two"}).Identity(); got != filepath.Join(folder, "up") {
		t.Error(got)
	}
	if got := new(Opener).Identity(); !strings.HasSuffix(got, filepath.Join("websocket", "rooms.db")) || !filepath.IsAbs(got) {
		t.Error(got)
	}
}
