package blackbox

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// wantedCuts is how often connections are cut: without CADDYWS_CUTS in the environment as often as
// usually, but less often where the race detector makes all slow.
func wantedCuts(t *testing.T, usually int64) int64 {
	t.Helper()
	text := os.Getenv("CADDYWS_CUTS")
	if text == "" && race {
		return 100
	}
	if text == "" {
		return usually
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal("CADDYWS_CUTS: ", err)
	}
	return n
}

// Producers and readers all behind something that delays and cuts, of a server that is reloaded
// and killed. Every reader has all messages in their order, once; or, where it was away for
// longer than messages are kept, gaps that say truly where it goes on.
func TestReadersBehindCuts(t *testing.T) {
	wanted := wantedCuts(t, 500)
	s := start(t, historyConfig)
	cutting := newRipper(t, s.address(), 300*time.Millisecond)
	all := gather(t, s, cutting.Addr().String())
	kills := 0
	for ; (cutting.cuts.Load() < wanted || all.lacksGaps()) && !t.Failed(); kills++ {
		for i := range 3 {
			time.Sleep(500 * time.Millisecond)
			s.reload(t, historyConfig+"\n# "+strconv.Itoa(i))
		}
		s.kill(t)
		s.again(t)
	}
	all.end()
	all.check(s)
	t.Logf("%d cuts, %d kills, %d reloads; %v", cutting.cuts.Load(), kills, 3*kills, all)
}
