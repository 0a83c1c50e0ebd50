package room

import "testing"

// An ID says nothing of its number, and none comes twice.
func TestConnectionIDs(t *testing.T) {
	const n = 100000
	seen := make(map[string]bool, n)
	alike := 0 // letters that two IDs in a row share at their place
	last := connectionID(0)
	for i := range uint64(n) {
		id := connectionID(1 + i)
		if len(id) != idLength || seen[id] {
			t.Fatalf("number %d is %q", i, id)
		}
		seen[id] = true
		for j := range id {
			if id[j] == last[j] {
				alike++
			}
		}
		last = id
	}
	if expected := n * idLength / 32; alike < expected*9/10 || alike > expected*11/10 {
		t.Errorf("%d letters are those of the ID before, about %d expected", alike, expected)
	}
}

// The number of a member is found by the ID of its connection, and by nothing else.
func TestNumberOfAnID(t *testing.T) {
	for _, n := range []uint64{0, 1, 2, 99, 12345678, 1<<30 - 1, 1 << 30, 1<<60 - 1} {
		if got, ok := NumberOf(connectionID(n)); !ok || got != n {
			t.Errorf("number %d is found as %d, %v", n, got, ok)
		}
	}
	for _, id := range []string{"", "ABCDEFGHIJK", "ABCDEFGHIJKLM", "abcdefghijkl", "ABCDEFGHIJK1", "ABCDEFGHIJK="} {
		if n, ok := NumberOf(id); ok {
			t.Errorf("%q is the ID of %d", id, n)
		}
	}
}
