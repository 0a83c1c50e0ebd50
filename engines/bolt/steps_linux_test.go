package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// steps are the system calls that change something on disk.
var steps = []string{"mkdirat", "pwrite64", "ftruncate", "fdatasync", "fsync", "fchmodat", "renameat", "unlinkat"}

// killAtEachStep has a child open the file that prepare makes, and kills it before its
// first step, before its second, and so on. It returns how many there are.
func killAtEachStep(t *testing.T, prepare, check func(path string)) (killed int) {
	t.Helper()
	folder := inMemory(t)
	for _, call := range steps {
		for n := 1; ; n++ {
			path := filepath.Join(folder, call+strconv.Itoa(n), "rooms.db")
			prepare(path)
			cmd, out := startChild(t, "open", path, nil, "strace", "-f", "-o", os.DevNull, "-e", "trace="+call, "-e", "inject="+call+":signal=KILL:when="+strconv.Itoa(n))
			var last string
			for out.Scan() {
				last = out.Text()
			}
			done := cmd.Wait() == nil
			if done && last != "closed" {
				t.Fatalf("before %s %d the child said %q", call, n, last)
			}
			check(path)
			if names := filesIn(t, filepath.Dir(path)); !slices.Equal(names, []string{"rooms.db", "rooms.db.lock"}) {
				t.Errorf("after %s %d there are %q", call, n, names)
			}
			os.RemoveAll(filepath.Dir(path))
			if done {
				break
			}
			killed++
		}
	}
	return killed
}

// Wherever a compaction is cut off, the file is there with all its rooms.
func TestCompactionKilledAtEachStep(t *testing.T) {
	needStrace(t)
	wasteful := filepath.Join(inMemory(t), "wasteful.db")
	e := openEngine(t, wasteful)
	makeWasteful(t, e)
	mark := e.Mark()
	closeEngine(t, e)
	n := killAtEachStep(t, func(path string) {
		if err := os.Mkdir(filepath.Dir(path), folderMode); err != nil {
			t.Fatal(err)
		}
		copyFile(t, wasteful, path)
	}, func(path string) {
		e := openEngine(t, path)
		defer closeEngine(t, e)
		expectSmall(t, e)
		if e.Mark() != mark {
			t.Error("the mark is another")
		}
		if size := mustStat(t, path).Size(); size > maxState {
			t.Errorf("%d bytes", size)
		}
	})
	if n < 20 {
		t.Errorf("%d steps", n)
	}
	t.Logf("%d steps", n)
}

// Wherever the creation of a file is cut off, it is created the next time.
func TestCreationKilledAtEachStep(t *testing.T) {
	needStrace(t)
	for name, prepare := range map[string]func(path string){
		"none": func(string) {},
		"an empty one": func(path string) {
			if err := errors.Join(os.Mkdir(filepath.Dir(path), folderMode), os.WriteFile(path, nil, 0o640)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := killAtEachStep(t, prepare, func(path string) {
				e := openEngine(t, path)
				defer closeEngine(t, e)
				swap(t, e, key(0), 0, "new")
				if err := sound(e); err != nil {
					t.Error(err)
				}
			})
			if n < 20 {
				t.Errorf("%d steps", n)
			}
			t.Logf("%d steps", n)
		})
	}
}
