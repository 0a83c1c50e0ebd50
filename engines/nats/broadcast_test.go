package nats

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// How long a message takes from a client to a member on its own node, and on another one over
// a server of NATS. Beside it, in the same run, the same for two members of a room that no
// other node has. One message is said at a time.
//
//	go test -run '^$' -bench Broadcast -benchtime 20000x ./engines/nats
func BenchmarkBroadcast(b *testing.B) {
	b.Run("local", func(b *testing.B) {
		w := hubtest.New(b, new(memory.Engine))
		rt := hubtest.Route(new(broadcast.App))
		benchmarkBroadcast(b, w.Join(rt), w.Join(rt))
	})
	b.Run("nodes=2", func(b *testing.B) {
		o := &Opener{URLs: []string{startServer(b, serverOptions(b)).ClientURL()}, Bucket: newBucket()}
		var all []*hubtest.Client
		for range 2 {
			w := hubtest.New(b, openEngine(b, o))
			all = append(all, w.Join(hubtest.Route(new(broadcast.App))))
		}
		benchmarkBroadcast(b, all[0], all[1])
	})
}

// benchmarkBroadcast has one client say something, and measures when both have heard it.
func benchmarkBroadcast(b *testing.B, speaker, other *hubtest.Client) {
	heard := make(chan time.Time)
	go func() {
		defer close(heard)
		for i := range b.N {
			if text, err := other.ReadText(); err != nil || text != fmt.Sprint(i) {
				b.Errorf("heard %q, %v", text, err)
				return
			}
			heard <- time.Now()
		}
	}()
	own, others := make([]time.Duration, b.N), make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range b.N {
		begun := time.Now()
		speaker.Send(fmt.Sprint(i))
		speaker.Expect(fmt.Sprint(i))
		own[i] = time.Since(begun)
		others[i] = (<-heard).Sub(begun)
	}
	b.StopTimer()
	report(b, "speaker", own)
	report(b, "other", others)
}

// report reports what half and 99 of 100 are within.
func report(b *testing.B, name string, all []time.Duration) {
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), name+"-p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), name+"-p99-µs")
}
