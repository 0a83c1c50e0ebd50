package nats

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
)

// clients is how many add to the room at the same time, over all nodes.
const clients = 768

// Acknowledged increments of one room that several nodes share, over one server that keeps it
// in memory. Beside it, in BenchmarkRedis, what Redis does for the same.
//
//	go test -run '^$' -bench 'HotRoom|Redis' ./engines/nats
func BenchmarkHotRoom(b *testing.B) {
	for _, nodes := range []int{1, 2, 3, 5} {
		b.Run(fmt.Sprint("nodes=", nodes), func(b *testing.B) { benchmarkHotRoom(b, nodes) })
	}
}

func benchmarkHotRoom(b *testing.B, nodes int) {
	url := startServer(b, serverOptions(b)).ClientURL()
	o := &Opener{URLs: []string{url}, Bucket: newBucket()}
	inMemory(b, url, o)
	rt := hubtest.Route(hubtest.NewCounterApp())
	var worlds []*hubtest.World
	for range nodes {
		w := hubtest.New(b, openEngine(b, o))
		w.Join(rt) // keeps the room in memory, and is told of all
		worlds = append(worlds, w)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var work sync.WaitGroup
	b.ResetTimer()
	for i := range clients {
		h := worlds[i%nodes].Hub
		work.Go(func() {
			for left.Add(-1) >= 0 {
				if a, err := h.Ask(b.Context(), rt, room.Visitor{Room: "room"}, apps.Text("1"), nil); err != nil || a.Err != nil {
					b.Error(err, a.Err)
					return
				}
			}
		})
	}
	work.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "increments/s")
	for _, w := range worlds {
		hubtest.Until(b, "the total on each node", func() bool {
			view, err := w.View(b.Context(), rt, "room")
			return err == nil && view.Version == uint64(b.N)
		})
	}
}

// inMemory creates a bucket that is kept in memory.
func inMemory(b *testing.B, url string, o *Opener) {
	_, js := connect(b, url)
	c := settings(o.Bucket, o.prefix(), 1)
	c.Storage = jetstream.MemoryStorage
	if _, err := js.CreateStream(bounded(b), c); err != nil {
		b.Fatal(err)
	}
}

// INCRBY and PUBLISH of the new total for each increment, over three connections with as many
// in flight, and one that is told of all. Nothing goes to a disk.
func BenchmarkRedis(b *testing.B) {
	const connections = 3
	program, err := exec.LookPath("redis-server")
	if err != nil {
		b.Skip("redis-server is not installed")
	}
	socket := filepath.Join(b.TempDir(), "redis.sock")
	process := exec.Command(program, "--port", "0", "--unixsocket", socket, "--save", "")
	if err := process.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	listen(b, socket)
	each := (b.N + connections - 1) / connections
	var work sync.WaitGroup
	b.ResetTimer()
	for range connections {
		c := dialRedis(b, socket)
		work.Go(func() { increment(b, c, each) })
	}
	work.Wait()
	b.ReportMetric(float64(each*connections)/b.Elapsed().Seconds(), "increments/s")
}

func dialRedis(b *testing.B, socket string) net.Conn {
	var c net.Conn
	hubtest.Until(b, "Redis to start", func() (is bool) {
		var err error
		c, err = net.Dial("unix", socket)
		return err == nil
	})
	b.Cleanup(func() { c.Close() })
	return c
}

// listen subscribes to the totals and throws them away.
func listen(b *testing.B, socket string) {
	c := dialRedis(b, socket)
	if _, err := c.Write([]byte("SUBSCRIBE totals\r\n")); err != nil {
		b.Fatal(err)
	}
	go func() {
		for p := make([]byte, 64<<10); ; {
			if _, err := c.Read(p); err != nil {
				return
			}
		}
	}()
}

// increment adds 1 n times, many at a time: first all INCRBY, then what they have led to is
// published.
func increment(b *testing.B, c net.Conn, n int) {
	answers := bufio.NewReader(c)
	for n > 0 {
		batch := min(n, clients/3)
		n -= batch
		exchange(b, c, answers, bytes.Repeat([]byte("INCRBY total 1\r\n"), batch), batch)
		exchange(b, c, answers, bytes.Repeat([]byte("PUBLISH totals 123456789\r\n"), batch), batch)
	}
}

func exchange(b *testing.B, c net.Conn, answers *bufio.Reader, commands []byte, n int) {
	if _, err := c.Write(commands); err != nil {
		b.Error(err)
		return
	}
	for range n {
		if line, err := answers.ReadSlice('\n'); err != nil || line[0] != ':' {
			b.Errorf("%q, %v", line, err)
			return
		}
	}
}
