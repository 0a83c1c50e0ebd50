package bolt

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyws/caddy-websocket/engines"
)

// downgrade makes a file one of a format before, without what that lacks, as none is
// stored.
func downgrade(t *testing.T, path, format string) {
	t.Helper()
	err := updateFile(path, func(tx *bbolt.Tx) error {
		err := errors.Join(tx.DeleteBucket(logsBucket), tx.Bucket(aboutBucket).Put(formatKey, []byte(format)))
		if format == formatNoWakes {
			err = errors.Join(err, tx.DeleteBucket(dueBucket))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A file of a format before opens with all its rooms, and takes wakes and logs from then
// on.
func TestFileOfAFormatBeforeOpens(t *testing.T) {
	for _, format := range []string{formatNoWakes, formatNoLogs} {
		t.Run(format, func(t *testing.T) { testUpgrade(t, format) })
	}
}

func testUpgrade(t *testing.T, format string) {
	path := temporary(t)
	e := openEngine(t, path)
	rev := swap(t, e, key(1), 0, "one")
	mark := e.Mark()
	closeEngine(t, e)
	downgrade(t, path, format)

	e = openEngine(t, path)
	expect(t, e, key(1), "one")
	if e.Mark() != mark {
		t.Error("it counts as a copy")
	}
	if _, err := e.Swap(t.Context(), key(1), rev, engines.Value{State: []byte("two"), Used: today, Wake: today}); err != nil {
		t.Fatal(err)
	}
	appendTexts(t, e, key(1), 0, "a", "b")
	closeEngine(t, e)
	e = openEngine(t, path)
	expect(t, e, key(1), "two")
	expectTexts(t, e, key(1), 1, "a", "b")
	wakes, err := e.Due(t.Context(), today.Add(time.Hour), engines.Wake{}, 10)
	if err != nil || len(wakes) != 1 || wakes[0].Key != key(1) {
		t.Errorf("due: %v, %v", wakes, err)
	}
	if err := sound(e); err != nil {
		t.Error(err)
	}
}

// A file of a format before that cannot be upgraded now is left as it is.
func TestUpgradeThatFails(t *testing.T) {
	path := temporary(t)
	e := openEngine(t, path)
	swap(t, e, key(1), 0, "one")
	closeEngine(t, e)
	downgrade(t, path, formatNoWakes)
	fault := errors.New("no more room")
	err := updateFile(path, func(tx *bbolt.Tx) error { return errors.Join(upgrade(tx), fault) })
	if !errors.Is(err, fault) {
		t.Fatal(err)
	}
	e = openEngine(t, path)
	expect(t, e, key(1), "one")
}

// A value whose wake is cut off is damaged.
func TestValueWithoutItsWake(t *testing.T) {
	k := []byte("key")
	for n := range wakeSize {
		p := make([]byte, headerSize+n)
		p[8] = 0x80
		seal(p, checksum(k, p), 7)
		if v, err := decodeValue(k, p); err != errDamaged {
			t.Errorf("%d bytes of it: %+v, %v", n, v, err)
		}
	}
	p, sum := encodeValue(k, engines.Value{State: []byte("state"), Used: today, Wake: today})
	seal(p, sum, 7)
	v, err := decodeValue(k, p)
	if err != nil || v.rev != 7 || v.used != hourOf(today) || v.wake != momentOf(today) || !slices.Equal(v.state, []byte("state")) {
		t.Errorf("%+v, %v", v, err)
	}
}
