package load

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Accept has n clients at a time connect to path, be let in and leave at once,
// until count of them were let in or the time is over. The latency is that of
// the handshake.
func (g *Generator) Accept(n int, path string, secure bool, count int, d time.Duration) (Phase, error) {
	begin := time.Now()
	var entered atomic.Int64
	latencies, errs := make([]*hdrhistogram.Histogram, n), make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		latencies[i] = newLatency()
		group.Go(func() {
			for errs[i] == nil && time.Since(begin) < d && entered.Add(1) <= int64(count) {
				errs[i] = enter(g.addr, path, secure, latencies[i])
			}
		})
	}
	group.Wait()
	all := newLatency()
	for i := range n {
		if errs[i] != nil {
			return Phase{}, errs[i]
		}
		all.Merge(latencies[i])
	}
	return Phase{int(all.TotalCount()), time.Since(begin), all}, nil
}

// enter connects and leaves. A reset leaves no port behind that waits for late
// packets.
func enter(addr, path string, secure bool, latency *hdrhistogram.Histogram) error {
	begin := time.Now()
	dialer := net.Dialer{Timeout: handshakeTimeout}
	tcp, err := dialer.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	defer tcp.Close()
	if err := tcp.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	stream := tcp
	if secure {
		stream = tls.Client(tcp, clientTLS)
	}
	if _, err := handshake(stream, addr, path, ""); err != nil {
		return err
	}
	return latency.RecordValue(max(1, time.Since(begin).Microseconds()))
}
