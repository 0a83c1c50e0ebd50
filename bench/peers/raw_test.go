package peers

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
)

// The floor checks nothing, but what it sends back is right, wherever a read
// ends.
func TestAnswer(t *testing.T) {
	for _, n := range []int{0, 1, 5, 7, 8, 31, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("caddy"), n/5+1)[:n]
		masked := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(payload)))
		want := ws.MustCompileFrame(ws.NewTextFrame(payload))
		got, rest := answer(nil, append(append(append([]byte(nil), masked...), masked...), masked[:5]...))
		if !bytes.Equal(got, append(append([]byte(nil), want...), want...)) || !bytes.Equal(rest, masked[:5]) {
			t.Errorf("%d bytes: got %d bytes and %d left, want twice %d and 5 left", n, len(got), len(rest), len(want))
		}
		if got, rest := answer(nil, masked[:len(masked)-1]); len(got) != 0 || len(rest) != len(masked)-1 {
			t.Errorf("%d bytes but one: got %d bytes and %d left", n, len(got), len(rest))
		}
	}
}
