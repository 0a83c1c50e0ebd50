package enginestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

var logs = map[string]func(*testing.T, *subject){
	"a log that has not begun is empty":         logUnknown,
	"what was appended is read in pages":        logPages,
	"only who knows the last position appends":  logConflicts,
	"a log belongs to a stored room":            logNeedsRoom,
	"a log is of one epoch":                     logEpochs,
	"a log begins in the room's epoch":          logBegins,
	"positions never come back":                 logPositions,
	"the log ends with its room":                logDeleted,
	"a swap leaves the log alone":               logSwapped,
	"entries belong to the caller":              logOwnership,
	"entries may be as large as it says":        logBounds,
	"logs are there after opening again":        logReopened,
	"rooms are appended to at the same time":    logConcurrent,
	"a context that ends ends no append":        logEnding,
	"a closed engine appends and reads nothing": logClosed,
}

// forLogs makes tests of engines of one of logs. Engines that keep none are skipped.
func forLogs() map[string]func(*testing.T, *subject) {
	tests := make(map[string]func(*testing.T, *subject))
	for name, test := range logs {
		tests["log: "+name] = func(t *testing.T, s *subject) {
			if _, ok := s.Engine.(engines.Log); !ok {
				t.Skip("the engine keeps no logs")
			}
			test(t, s)
		}
	}
	return tests
}

func (s *subject) log() engines.Log { return s.Engine.(engines.Log) }

// life is the epoch of tests that are about something else.
const life = "EPOCHONE"

func texts(first, last int) (entries [][]byte) {
	for i := first; i <= last; i++ {
		entries = append(entries, fmt.Append(nil, "entry ", i))
	}
	return entries
}

// append appends the entries from the first position up to the last.
func (s *subject) append(key engines.Key, first, last int) {
	s.t.Helper()
	got, err := s.log().Append(s.t.Context(), key, life, uint64(first-1), texts(first, last))
	if err != nil || got != uint64(last) {
		s.t.Fatalf("appending %d to %d: %d, %v", first, last, got, err)
	}
}

// expectLog expects a log with the entries of texts from the first position up to the last,
// read in pages.
func (s *subject) expectLog(key engines.Key, epoch string, first, last uint64) {
	s.t.Helper()
	at := uint64(0)
	for {
		entries, oldest, newest, err := s.log().Read(s.t.Context(), key, epoch, at, 5)
		if err != nil || oldest != first || newest != last || len(entries) > 5 {
			s.t.Fatalf("behind %d: %d entries, %d to %d, %v; want %d to %d", at, len(entries), oldest, newest, err, first, last)
		}
		if len(entries) == 0 {
			break
		}
		for at = max(at, first-1); len(entries) > 0; entries = entries[1:] {
			at++
			if want := fmt.Append(nil, "entry ", at); !bytes.Equal(entries[0], want) {
				s.t.Fatalf("at %d is %q", at, entries[0])
			}
		}
	}
	if first <= last && at != last {
		s.t.Fatalf("the last that is read is at %d, not %d", at, last)
	}
}

func (s *subject) trim(key engines.Key, upTo uint64) {
	s.t.Helper()
	if err := s.log().Trim(s.t.Context(), key, life, upTo); err != nil {
		s.t.Fatalf("trimming up to %d: %v", upTo, err)
	}
}

func (s *subject) refuses(key engines.Key, epoch string, after uint64, want error) {
	s.t.Helper()
	if last, err := s.log().Append(s.t.Context(), key, epoch, after, [][]byte{[]byte("wrong")}); !errors.Is(err, want) {
		s.t.Errorf("appending behind %d of %s: %d, %v; want %v", after, epoch, last, err, want)
	}
}

func logUnknown(_ *testing.T, s *subject) {
	s.expectLog(room, life, 1, 0)
	s.trim(room, 7)
	s.swap(room, 0, "x")
	s.expectLog(room, life, 1, 0)
	s.trim(room, 7)
	s.expectLog(room, life, 1, 0)
}

func logPages(t *testing.T, s *subject) {
	s.swap(room, 0, "x")
	s.swap(next, 0, "y")
	s.append(room, 1, 1)
	s.append(room, 2, 13)
	s.append(next, 1, 2)
	s.expectLog(room, life, 1, 13)
	s.expectLog(next, life, 1, 2)
	for _, after := range []uint64{13, 14, 1 << 40, 1<<64 - 1} {
		if entries, first, last, err := s.log().Read(t.Context(), room, life, after, 5); err != nil || len(entries) > 0 || first != 1 || last != 13 {
			t.Errorf("behind %d: %q, %d, %d, %v", after, entries, first, last, err)
		}
	}
	if entries, first, last, err := s.log().Read(t.Context(), room, life, 3, 0); err != nil || len(entries) > 0 || first != 1 || last != 13 {
		t.Errorf("none of them: %q, %d, %d, %v", entries, first, last, err)
	}
	s.trim(room, 6)
	s.expectLog(room, life, 7, 13)
	s.trim(room, 3)
	s.expectLog(room, life, 7, 13)
	s.append(room, 14, 15)
	s.expectLog(room, life, 7, 15)
	s.expectLog(next, life, 1, 2)
}

func logConflicts(_ *testing.T, s *subject) {
	s.swap(room, 0, "x")
	s.refuses(room, life, 1, engines.ErrConflict)
	s.append(room, 1, 3)
	for _, after := range []uint64{0, 2, 4} {
		s.refuses(room, life, after, engines.ErrConflict)
	}
	s.trim(room, 3)
	for _, after := range []uint64{0, 2, 4} {
		s.refuses(room, life, after, engines.ErrConflict)
	}
	s.expectLog(room, life, 4, 3)
}

func logNeedsRoom(_ *testing.T, s *subject) {
	s.refuses(room, life, 0, engines.ErrConflict)
	s.expectLog(room, life, 1, 0)
	s.swap(room, 0, "x")
	s.append(room, 1, 1)
	s.expectLog(room, life, 1, 1)
}

func logEpochs(t *testing.T, s *subject) {
	rev := s.swap(room, 0, "x")
	s.append(room, 1, 3)
	s.expectLog(room, "EPOCHTWO", 1, 0)
	s.refuses(room, "EPOCHTWO", 0, engines.ErrConflict)
	s.refuses(room, "EPOCHTWO", 3, engines.ErrConflict)
	if err := s.log().Trim(t.Context(), room, "EPOCHTWO", 3); err != nil {
		t.Error(err)
	}
	s.expectLog(room, life, 1, 3)
	s.remove(room, rev)
	s.swapValue(room, 0, engines.Value{Used: today, Epoch: "EPOCHTWO"})
	if last, err := s.log().Append(t.Context(), room, "EPOCHTWO", 0, texts(1, 2)); err != nil || last != 2 {
		t.Fatalf("%d, %v", last, err)
	}
	s.expectLog(room, "EPOCHTWO", 1, 2)
	s.expectLog(room, life, 1, 0)
}

// logBegins: an Append of a life that is over, or of one that was never stored, begins no log.
func logBegins(t *testing.T, s *subject) {
	none := value("x")
	none.Epoch = ""
	rev := s.swapValue(room, 0, none)
	s.refuses(room, life, 0, engines.ErrConflict)
	s.remove(room, rev)
	s.swapValue(room, 0, engines.Value{State: []byte("y"), Used: today, Wake: today, Epoch: "EPOCHTWO"})
	s.refuses(room, life, 0, engines.ErrConflict)
	s.expectLog(room, life, 1, 0)
	s.expectLog(room, "EPOCHTWO", 1, 0)
	if last, err := s.log().Append(t.Context(), room, "EPOCHTWO", 0, texts(1, 2)); err != nil || last != 2 {
		t.Fatalf("%d, %v", last, err)
	}
	s.expectLog(room, "EPOCHTWO", 1, 2)
}

func logPositions(_ *testing.T, s *subject) {
	s.swap(room, 0, "x")
	for i := 1; i < 10; i += 3 {
		s.append(room, i, i+2)
		s.trim(room, uint64(i+3)) // which is beyond the last
		s.expectLog(room, life, uint64(i+3), uint64(i+2))
	}
}

func logDeleted(_ *testing.T, s *subject) {
	rev := s.swap(room, 0, "x")
	other := s.swap(next, 0, "x")
	s.append(room, 1, 5)
	s.append(next, 1, 3)
	s.remove(room, rev)
	s.expectLog(room, life, 1, 0)
	s.refuses(room, life, 5, engines.ErrConflict)
	s.refuses(room, life, 0, engines.ErrConflict)
	s.expectLog(next, life, 1, 3)
	s.swap(room, 0, "again")
	s.refuses(room, life, 5, engines.ErrConflict)
	s.append(room, 1, 2)
	s.expectLog(room, life, 1, 2)
	s.expect(next, "x", other)
}

func logSwapped(_ *testing.T, s *subject) {
	rev := s.swap(room, 0, "x")
	s.append(room, 1, 2)
	rev = s.swap(room, rev, "y")
	s.append(room, 3, 4)
	s.expect(room, "y", rev)
	s.expectLog(room, life, 1, 4)
	s.expectCount(1)
	s.expectKeys(engines.Key{}, 10, room)
}

func logOwnership(t *testing.T, s *subject) {
	s.swap(room, 0, "x")
	entries := texts(1, 2)
	if _, err := s.log().Append(t.Context(), room, life, 0, entries); err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		clear(entry)
	}
	got, _, _, err := s.log().Read(t.Context(), room, life, 0, 5)
	if err != nil || len(got) != 2 {
		t.Fatalf("%q, %v", got, err)
	}
	clear(got[0])
	s.expectLog(room, life, 1, 2)
	s.append(room, 3, 3)
	s.trim(room, 2)
	if string(got[1]) != "entry 2" {
		t.Errorf("what was read became %q", got[1])
	}
}

func logBounds(t *testing.T, s *subject) {
	s.swap(room, 0, "x")
	for _, wrong := range [][][]byte{nil, make([][]byte, engines.MaxEntries+1), {make([]byte, s.MaxState()), {1}}} {
		if _, err := s.log().Append(t.Context(), room, life, 0, wrong); !errors.Is(err, engines.ErrRefused) {
			t.Errorf("%d entries: %v", len(wrong), err)
		}
	}
	s.expectLog(room, life, 1, 0)
	large := bytes.Repeat([]byte("x"), s.MaxState())
	if last, err := s.log().Append(t.Context(), room, life, 0, [][]byte{large}); err != nil || last != 1 {
		t.Fatal(last, err)
	}
	if last, err := s.log().Append(t.Context(), room, life, 1, make([][]byte, engines.MaxEntries)); err != nil || last != 1+engines.MaxEntries {
		t.Fatal(last, err)
	}
	entries, _, last, err := s.log().Read(t.Context(), room, life, 0, 2)
	if err != nil || last != 1+engines.MaxEntries || len(entries) == 0 || !bytes.Equal(entries[0], large) {
		t.Errorf("%d entries, %d, %v", len(entries), last, err)
	}
	n := 0
	for after := uint64(1); after < last; {
		entries, _, _, err = s.log().Read(t.Context(), room, life, after, 1<<20)
		if err != nil || len(entries) == 0 {
			t.Fatalf("behind %d: %d, %v", after, len(entries), err)
		}
		after += uint64(len(entries))
		n += len(entries)
		if len(bytes.Join(entries, nil)) > 0 {
			t.Fatal("empty entries are not empty")
		}
	}
	if n != engines.MaxEntries {
		t.Errorf("%d empty entries are read", n)
	}
	s.trim(room, last-1)
}

func logReopened(_ *testing.T, s *subject) {
	s.swap(room, 0, "x")
	s.swap(next, 0, "x")
	s.append(room, 1, 9)
	s.append(next, 1, 2)
	s.trim(room, 4)
	s.trim(next, 2)
	s.reopen()
	s.expectLog(room, life, 5, 9)
	s.expectLog(next, life, 3, 2)
	s.refuses(next, life, 0, engines.ErrConflict)
	s.append(room, 10, 11)
	s.append(next, 3, 3)
	s.reopen()
	s.expectLog(room, life, 5, 11)
	s.expectLog(next, life, 3, 3)
}

// logConcurrent appends to several rooms while others read and trim.
func logConcurrent(t *testing.T, s *subject) {
	const rooms, batches, size = 4, 20, 3
	var wg sync.WaitGroup
	for i := range rooms {
		key := engines.Key{App: "chat", Room: fmt.Sprint(i)}
		s.swap(key, 0, "x")
		wg.Go(func() {
			for n := range batches {
				if last, err := s.log().Append(t.Context(), key, life, uint64(n*size), texts(n*size+1, n*size+size)); err != nil || last != uint64(n*size+size) {
					t.Errorf("%d, %v", last, err)
					return
				}
			}
		})
		wg.Go(func() {
			for last := uint64(0); last < batches*size && !t.Failed(); {
				entries, first, now, err := s.log().Read(t.Context(), key, life, last, 7)
				if err != nil || now < last || first > last+1 {
					t.Errorf("behind %d: %d to %d, %v", last, first, now, err)
					return
				}
				for i, entry := range entries {
					if want := fmt.Append(nil, "entry ", last+uint64(i)+1); !bytes.Equal(entry, want) {
						t.Errorf("%q, want %q", entry, want)
					}
				}
				if last += uint64(len(entries)); len(entries) > 0 {
					s.trim(key, last)
				}
			}
		})
	}
	wg.Wait()
}

// logEnding ends contexts while entries are appended: each Append is told to be done,
// refused or unknown, and what Read shows is never contradicted later.
func logEnding(t *testing.T, s *subject) {
	s.swap(room, 0, "x")
	last := uint64(0)
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		_, err := s.log().Append(ctx, room, life, last, texts(int(last)+1, int(last)+2))
		<-ctx.Done()
		switch {
		case err == nil:
			last += 2
		case !errors.Is(err, engines.ErrRefused):
			last = s.settleLog(last)
		}
		s.expectLog(room, life, 1, last)
	}
}

// settleLog repeats an Append whose outcome is unknown until there is something behind the
// position.
func (s *subject) settleLog(after uint64) (last uint64) {
	s.t.Helper()
	for {
		_, _, last, err := s.log().Read(s.t.Context(), room, life, after, 0)
		if err != nil || last != after && last != after+2 {
			s.t.Fatalf("%d after %d, %v", last, after, err)
		}
		if last > after {
			return last
		}
		last, err = s.log().Append(s.t.Context(), room, life, after, texts(int(after)+1, int(after)+2))
		if err == nil {
			return last
		}
		if !errors.Is(err, engines.ErrConflict) {
			s.t.Fatal(err)
		}
	}
}

func logClosed(t *testing.T, s *subject) {
	s.swap(room, 0, "x")
	s.append(room, 1, 1)
	s.close()
	s.refuses(room, life, 1, engines.ErrRefused)
	if _, _, _, err := s.log().Read(t.Context(), room, life, 0, 1); err == nil {
		t.Error("it reads")
	}
	if err := s.log().Trim(t.Context(), room, life, 1); err == nil {
		t.Error("it trims")
	}
}
