package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/leaktest"
)

// The test binary is also the process that writes, is killed, or holds a file.
func TestMain(m *testing.M) {
	compactTimeout = patience // disks of tests may be slow
	if mode := os.Getenv("BOLT_TEST_CHILD"); mode != "" {
		child(mode, os.Getenv("BOLT_TEST_FILE"))
		return
	}
	leaktest.Main(m)
}

// patience bounds every wait.
const patience = time.Minute

// today is when rooms are used.
var today = time.Date(2030, 4, 5, 6, 7, 8, 9, time.UTC)

func key(room int) engines.Key { return engines.Key{App: "test", Room: fmt.Sprint("room ", room)} }

func value(state string) engines.Value {
	return engines.Value{State: []byte(state), Used: today, Epoch: childEpoch}
}

func openEngine(t testing.TB, path string) *Engine {
	t.Helper()
	e, err := tryOpen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func tryOpen(path string) (*Engine, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := (&Opener{Path: path}).Open(ctx)
	if err != nil {
		return nil, err
	}
	return e.(*Engine), nil
}

func closeEngine(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func swap(t testing.TB, e *Engine, key engines.Key, rev uint64, state string) uint64 {
	t.Helper()
	rev, err := e.Swap(t.Context(), key, rev, value(state))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// fill stores n rooms and returns their revisions.
func fill(t testing.TB, e *Engine, n int, state string) []uint64 {
	t.Helper()
	revs := make([]uint64, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var err error
			if revs[i], err = e.Swap(t.Context(), key(i), 0, value(state)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return revs
}

func expect(t testing.TB, e *Engine, key engines.Key, state string) {
	t.Helper()
	if p, _, err := e.Load(t.Context(), key); err != nil || string(p) != state {
		t.Errorf("loading %v: %.40q, %v; want %.40q", key, p, err, state)
	}
}

// sound reports what is wrong with an engine's file: pages, number of rooms, index.
func sound(e *Engine) error {
	ctx := context.Background()
	var faults []error
	err := e.file.db.View(func(tx *bbolt.Tx) error {
		for fault := range tx.Check() {
			faults = append(faults, fault)
		}
		return nil
	})
	keys, listing := e.List(ctx, engines.Key{}, 1<<20)
	n, counting := e.Count(ctx)
	uses, finding := e.Unused(ctx, time.Unix(1<<40, 0), engines.Use{}, 1<<20)
	if n != len(keys) || len(uses) != n {
		faults = append(faults, fmt.Errorf("%d rooms, %d are counted and %d in the index", len(keys), n, len(uses)))
	}
	for _, use := range uses {
		if _, _, err := e.Load(ctx, use.Key); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(append(faults, err, listing, counting, finding)...)
}

// A ledger is the state of a room to which operations are added: their numbers.
type ledger []string

func parseLedger(p []byte) ledger { return strings.Fields(string(p)) }

func (l ledger) with(op string) string { return strings.Join(append(slices.Clone(l), op), " ") }

func (l ledger) endsWith(op string) bool { return len(l) > 0 && l[len(l)-1] == op }

// twice returns an operation that was counted more than once.
func (l ledger) twice() string {
	sorted := slices.Sorted(slices.Values(l))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return sorted[i]
		}
	}
	return ""
}

func filesIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	p, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, p, fileMode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func temporary(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "rooms.db")
}
