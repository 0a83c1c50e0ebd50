package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"go.etcd.io/bbolt"

	"github.com/caddyws/caddy-websocket/engines"
)

func appendTexts(t testing.TB, e *Engine, key engines.Key, after uint64, texts ...string) {
	t.Helper()
	var entries [][]byte
	for _, text := range texts {
		entries = append(entries, []byte(text))
	}
	if last, err := e.Append(t.Context(), key, childEpoch, after, entries); err != nil || last != after+uint64(len(texts)) {
		t.Fatalf("appending behind %d: %d, %v", after, last, err)
	}
}

// expectTexts expects what the log of a room keeps, the first of which has a position.
func expectTexts(t testing.TB, e *Engine, key engines.Key, first uint64, texts ...string) {
	t.Helper()
	entries, oldest, last, err := e.Read(t.Context(), key, childEpoch, 0, len(texts)+1)
	var got []string
	for len(entries) > 0 && err == nil {
		for _, entry := range entries {
			got = append(got, string(entry))
		}
		entries, _, _, err = e.Read(t.Context(), key, childEpoch, oldest+uint64(len(got))-1, len(texts)+1)
	}
	if err != nil || oldest != first || last != first+uint64(len(texts))-1 || !slices.Equal(got, texts) {
		t.Fatalf("%.100q from %d to %d, %v; want %.100q from %d", got, oldest, last, err, texts, first)
	}
}

// All that waits while a transaction is under way is one transaction, swaps and messages.
func TestAppendsAndSwapsAreOneTransaction(t *testing.T) {
	e := openEngine(t, temporary(t))
	const rooms = 20
	revs := fill(t, e, rooms, "x")
	release := occupy(t, e)
	done := make(chan error, 2*rooms)
	for i := range rooms {
		go func() {
			_, err := e.Swap(t.Context(), key(i), revs[i], value("y"))
			done <- err
		}()
		go func() {
			_, err := e.Append(t.Context(), key(i), childEpoch, 0, [][]byte{[]byte("a"), []byte("b")})
			done <- err
		}()
	}
	for waiting := 0; waiting < 2*rooms; {
		e.queue.mu.Lock()
		waiting = len(e.queue.waiting)
		e.queue.mu.Unlock()
	}
	before := e.file.txids(t)
	release()
	for range 2 * rooms {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := e.file.txids(t) - before; n != 1 {
		t.Errorf("%d transactions", n)
	}
	for i := range rooms {
		expect(t, e, key(i), "y")
		expectTexts(t, e, key(i), 1, "a", "b")
	}
}

// Many entries are removed in several transactions, so that others have their turn.
func TestLongLogsAreTrimmedInSteps(t *testing.T) {
	e := openEngine(t, temporary(t))
	swap(t, e, key(0), 0, "x")
	const n = 2*trimStep + 500
	texts := make([]string, n)
	appendTexts(t, e, key(0), 0, texts...)
	before := e.file.txids(t)
	if err := e.Trim(t.Context(), key(0), childEpoch, n-1); err != nil {
		t.Fatal(err)
	}
	if steps := e.file.txids(t) - before; steps != 3 {
		t.Errorf("%d transactions", steps)
	}
	expectTexts(t, e, key(0), n, "")
	if err := sound(e); err != nil {
		t.Error(err)
	}
}

// A compaction keeps logs, short and long ones, and where the positions stand.
func TestCompactionKeepsLogs(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	makeWasteful(t, e)
	long := make([]string, 12)
	for i := range long {
		long[i] = strings.Repeat(fmt.Sprint(i%10), maxState)
		appendTexts(t, e, key(3), uint64(i), long[i])
	}
	for i := range 10 {
		if i != 3 {
			appendTexts(t, e, key(i), 0, "a", fmt.Sprint(i), "c")
		}
	}
	for room, upTo := range map[int]uint64{3: 2, 5: 1, 7: 3} {
		if err := e.Trim(t.Context(), key(room), childEpoch, upTo); err != nil {
			t.Fatal(err)
		}
	}
	closeEngine(t, e)
	f, err := openFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = compact(t.Context(), f, path); err != nil {
		t.Fatal(err)
	}
	size := f.info.Size()
	f.close()
	if size > 16*maxState {
		t.Errorf("it has %d bytes", size)
	}
	e = openEngine(t, path)
	expectSmall(t, e)
	expectTexts(t, e, key(3), 3, long[2:]...)
	expectTexts(t, e, key(4), 1, "a", "4", "c")
	expectTexts(t, e, key(5), 2, "5", "c")
	expectTexts(t, e, key(7), 4)
	appendTexts(t, e, key(7), 3, "d")
	expectTexts(t, e, key(7), 4, "d")
}

// A backup has the logs.
func TestBackupHasLogs(t *testing.T) {
	e := openEngine(t, temporary(t))
	swap(t, e, key(0), 0, "x")
	appendTexts(t, e, key(0), 0, "a", "b")
	var out bytes.Buffer
	if err := e.Backup(&out); err != nil {
		t.Fatal(err)
	}
	appendTexts(t, e, key(0), 2, "c")
	restored := temporary(t)
	if err := os.WriteFile(restored, out.Bytes(), fileMode); err != nil {
		t.Fatal(err)
	}
	expectTexts(t, openEngine(t, restored), key(0), 1, "a", "b")
}

// Damage within the file costs the entry that it hits: what comes before and behind it is
// read, and nothing is overwritten.
func TestDamagedEntry(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	swap(t, e, key(0), 0, "x")
	fine := strings.Repeat("fine", 500)
	appendTexts(t, e, key(0), 0, fine, fine, fine, fine, fine, fine, fine, fine)
	k, _ := encodeKey(key(0))
	at := 0
	if err := e.file.view(func(tb *tables) error {
		at = int(uintptr(unsafe.Pointer(&tb.logs.Bucket(k).Get(positionKey(3))[0])) - e.file.db.Info().Data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p[at+sumSize]++
	rewrite(t, path, p)
	e = openEngine(t, path)
	if _, _, _, err := e.Read(t.Context(), key(0), childEpoch, 0, 5); err == nil || !strings.Contains(err.Error(), "restore the file from a backup") {
		t.Errorf("reading: %v", err)
	}
	if entries, _, _, err := e.Read(t.Context(), key(0), childEpoch, 0, 2); err != nil || len(entries) != 2 {
		t.Errorf("those before: %d, %v", len(entries), err)
	}
	if entries, _, _, err := e.Read(t.Context(), key(0), childEpoch, 3, 9); err != nil || len(entries) != 5 {
		t.Errorf("those behind: %d, %v", len(entries), err)
	}
	appendTexts(t, e, key(0), 8, "more")
}

// A log that contradicts itself is not written to.
func TestDamagedLog(t *testing.T) {
	for name, damage := range map[string]func(*bbolt.Bucket) error{
		"without its epoch":             func(log *bbolt.Bucket) error { return log.Delete(epochKey) },
		"with entries behind the last":  func(log *bbolt.Bucket) error { return log.SetSequence(2) },
		"without one in the middle":     func(log *bbolt.Bucket) error { return log.Delete(positionKey(2)) },
		"without the last one":          func(log *bbolt.Bucket) error { return log.Delete(positionKey(3)) },
		"with an entry that is cut off": func(log *bbolt.Bucket) error { return log.Put(positionKey(2), []byte{1}) },
	} {
		t.Run(name, func(t *testing.T) {
			path := temporary(t)
			e := openEngine(t, path)
			swap(t, e, key(0), 0, "x")
			appendTexts(t, e, key(0), 0, "a", "b", "c")
			closeEngine(t, e)
			k, _ := encodeKey(key(0))
			if err := updateFile(path, func(tx *bbolt.Tx) error { return damage(tx.Bucket(logsBucket).Bucket(k)) }); err != nil {
				t.Fatal(err)
			}
			e = openEngine(t, path)
			if strings.HasPrefix(name, "with entries behind") {
				if _, err := e.Append(t.Context(), key(0), childEpoch, 2, [][]byte{[]byte("x")}); !errors.Is(err, engines.ErrRefused) {
					t.Errorf("appending: %v", err)
				}
				return
			}
			if entries, _, _, err := e.Read(t.Context(), key(0), childEpoch, 0, 5); !errors.Is(err, errDamaged) {
				t.Errorf("reading: %q, %v", entries, err)
			}
		})
	}
}
