package room_test

import (
	"io"
	"testing"

	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/apps/sum"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// A message to a room of 1,000, until everybody has read it.
func BenchmarkBroadcast1000(b *testing.B) {
	const members = 1000
	w := hubtest.New(b, new(memory.Engine))
	route := hubtest.Route(new(broadcast.App))
	read := make(chan error, members)
	clients := make([]*hubtest.Client, members)
	for i := range clients {
		c := w.Join(route)
		clients[i] = c
		size := 2 + len("message")
		go func() {
			p := make([]byte, size)
			for {
				_, err := io.ReadFull(c, p)
				read <- err
				if err != nil {
					return
				}
			}
		}()
	}
	b.ReportAllocs()
	for b.Loop() {
		clients[0].Send("message")
		for range members {
			if err := <-read; err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	for _, c := range clients {
		c.Close()
		<-read
	}
}

// 64 numbers in one piece from one member, and their answers.
func BenchmarkSum(b *testing.B) {
	const pipelined = 64
	w := hubtest.New(b, new(memory.Engine))
	c := w.Join(hubtest.Route(new(sum.App)))
	var numbers []string
	for i := range pipelined {
		numbers = append(numbers, map[bool]string{true: "1", false: "-1"}[i%2 == 0])
	}
	frames, answers := hubtest.Texts(numbers...), make([]byte, 3*pipelined)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(frames); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, answers); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*pipelined/b.Elapsed().Seconds(), "messages/s")
}
