package enginestest

import (
	"bytes"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

var keys = map[string]func(*testing.T, *subject){
	"any bytes and any keys are kept": anything,
	"list goes on in order":           list,
	"rooms are counted":               count,
}

func anything(_ *testing.T, s *subject) {
	revs := make(map[engines.Key]uint64)
	keys := []engines.Key{
		{App: "a", Room: "b/c"}, {App: "a/b", Room: "c"}, {App: "a", Room: "b"}, {App: "ab"}, {App: "a", Room: "B"},
		{App: "a", Room: "b c.*>\"'\\%00"}, {App: "a", Room: "ä☃😀"}, {App: "a", Room: "\x00\xff"}, {App: "a", Room: "\x00"},
		{App: "a", Room: string(bytes.Repeat([]byte("x"), 511))},
	}
	for _, key := range keys {
		revs[key] = s.swap(key, 0, "\x00\xff"+key.App+"|"+key.Room)
	}
	for _, key := range keys {
		s.expect(key, "\x00\xff"+key.App+"|"+key.Room, revs[key])
	}
	s.expectCount(len(keys))
}

func list(_ *testing.T, s *subject) {
	keys := []engines.Key{{App: "a", Room: "1"}, {App: "a", Room: "2"}, {App: "a0", Room: "0"}, {App: "b", Room: "1"}, {App: "b", Room: "10"}}
	revs := make([]uint64, len(keys))
	for _, i := range []int{3, 1, 4, 0, 2} {
		revs[i] = s.swap(keys[i], 0, "x")
	}
	s.expectKeys(engines.Key{}, 10, keys...)
	s.expectKeys(engines.Key{}, 5, keys...)
	s.expectKeys(engines.Key{}, 2, keys[:2]...)
	s.expectKeys(keys[1], 2, keys[2:4]...)
	s.expectKeys(engines.Key{App: "a", Room: "15"}, 1, keys[1])
	s.expectKeys(keys[4], 2)
	s.expectKeys(engines.Key{}, 0)
	s.remove(keys[2], revs[2])
	s.expectKeys(keys[1], 10, keys[3:]...)
}

func count(_ *testing.T, s *subject) {
	a := s.swap(room, 0, "a")
	b := s.swap(next, 0, "b")
	s.expectCount(2)
	b = s.swap(next, b, "b")
	s.expectCount(2)
	s.remove(room, a)
	s.expectCount(1)
	s.swap(room, 0, "a")
	s.expectCount(2)
	s.remove(next, b)
	s.expectCount(1)
}
