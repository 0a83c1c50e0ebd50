package enginestest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/engines"
)

// Resume measures how long it takes to read the messages behind any point of any room: 50 at
// most. Each room has a log of one epoch, with so many messages.
func Resume(b *testing.B, log engines.Log, key func(room int) engines.Key, epoch string, rooms, messages int) {
	b.Helper()
	var took []time.Duration
	for b.Loop() {
		room, after := key(rand.N(rooms)), rand.N(messages)
		began := time.Now()
		entries, _, last, err := log.Read(b.Context(), room, epoch, uint64(after), 50)
		took = append(took, time.Since(began))
		if err != nil || last != uint64(messages) || len(entries) != min(50, messages-after) {
			b.Fatal(len(entries), last, err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
}
