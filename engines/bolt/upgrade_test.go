package bolt

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyws/caddy-websocket/engines"
)

// downgrade makes a file one of a format before, without what that lacks. No room has a log or
// a wake.
func downgrade(t *testing.T, path, format string) {
	t.Helper()
	err := updateFile(path, func(tx *bbolt.Tx) error {
		err := errors.Join(withoutEpochs(tx.Bucket(roomsBucket)), tx.Bucket(aboutBucket).Put(formatKey, []byte(format)))
		if format != formatNoEpochs {
			err = errors.Join(err, tx.DeleteBucket(logsBucket))
		}
		if format == formatNoWakes {
			err = errors.Join(err, tx.DeleteBucket(dueBucket))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// withoutEpochs makes values what they were before they had epochs.
func withoutEpochs(rooms *bbolt.Bucket) error {
	old := make(map[string][]byte)
	for key := range from(rooms, nil) {
		v, err := decodeValue(key, rooms.Get(key))
		if err != nil {
			return err
		}
		p := append(make([]byte, headerSize), v.state...)
		binary.BigEndian.PutUint32(p[8:], uint32(v.used))
		seal(p, checksum(key, p), v.rev)
		old[string(key)] = p
	}
	for key, p := range old {
		if err := rooms.Put([]byte(key), p); err != nil {
			return err
		}
	}
	return nil
}

// A file of a format before opens with all its rooms, and takes wakes and logs from then
// on.
func TestFileOfAFormatBeforeOpens(t *testing.T) {
	for _, format := range []string{formatNoWakes, formatNoLogs, formatNoEpochs} {
		t.Run(format, func(t *testing.T) { testUpgrade(t, format) })
	}
}

func testUpgrade(t *testing.T, format string) {
	path := temporary(t)
	e := openEngine(t, path)
	rev := swap(t, e, key(1), 0, "one")
	swap(t, e, key(2), 0, "other")
	mark := e.Mark()
	closeEngine(t, e)
	downgrade(t, path, format)

	e = openEngine(t, path)
	expect(t, e, key(1), "one")
	if e.Mark() != mark {
		t.Error("it counts as a copy")
	}
	if _, err := e.Swap(t.Context(), key(1), rev, engines.Value{State: []byte("two"), Used: today, Wake: today, Epoch: childEpoch}); err != nil {
		t.Fatal(err)
	}
	appendTexts(t, e, key(1), 0, "a", "b")
	appendTexts(t, e, key(2), 0, "c") // whose epoch is not known
	closeEngine(t, e)
	e = openEngine(t, path)
	expect(t, e, key(1), "two")
	expectTexts(t, e, key(1), 1, "a", "b")
	expectTexts(t, e, key(2), 1, "c")
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

// A value whose wake or epoch is cut off is damaged.
func TestValueThatIsCutOff(t *testing.T) {
	k := []byte("key")
	p, sum := encodeValue(k, engines.Value{State: []byte("state"), Used: today, Wake: today, Epoch: "EPOCH"})
	seal(p, sum, 7)
	v, err := decodeValue(k, p)
	if err != nil || v.rev != 7 || v.used != hourOf(today) || v.wake != momentOf(today) || string(v.epoch) != "EPOCH" || string(v.state) != "state" {
		t.Errorf("%+v, %v", v, err)
	}
	for n := range p[:len(p)-len("state")] {
		short := slices.Clone(p[:n])
		if n >= headerSize {
			seal(short, checksum(k, short), 7)
		}
		if v, err := decodeValue(k, short); err != errDamaged {
			t.Errorf("%d bytes of it: %+v, %v", n, v, err)
		}
	}
}

// A room is not stored with an epoch that is too long to be kept.
func TestEpochThatIsTooLong(t *testing.T) {
	e := openEngine(t, temporary(t))
	for size, want := range map[int]error{maxEpoch: nil, maxEpoch + 1: engines.ErrRefused} {
		if _, err := e.Swap(t.Context(), key(size), 0, engines.Value{Used: today, Epoch: strings.Repeat("x", size)}); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
