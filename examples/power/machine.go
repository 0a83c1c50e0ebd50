package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"
)

// machine is a simulated machine. It needs nothing but HTTP: readings go by POST, and
// what it is told comes as Server-Sent Events.
type machine struct {
	name   string
	server string // host and port
	greedy bool
	stop   chan struct{} // it has been told to shut down

	power float64 // in watts
	rests int     // how many readings it stays off
}

const (
	interval = 200 * time.Millisecond // between two readings
	usual    = 600                    // watts
	rest     = 50                     // readings
)

func newMachine(name, server string) *machine {
	return &machine{name: name, server: server, power: usual, stop: make(chan struct{}, 1)}
}

// run works until ctx ends.
func (m *machine) run(ctx context.Context) {
	go m.listen(ctx)
	for range ticks(ctx, interval) {
		m.work()
		m.report(ctx)
	}
}

// work lets the machine run for one interval.
func (m *machine) work() {
	select {
	case <-m.stop:
		fmt.Fprintln(os.Stderr, m.name, "shuts down")
		m.power, m.rests = 0, rest
	default:
	}
	switch {
	case m.rests > 1:
		m.rests--
	case m.rests == 1:
		m.power, m.rests = usual, 0
	case m.greedy:
		m.power += 4 + 4*rand.Float64()
	default:
		m.power += usual/10*(rand.Float64()-0.5) - (m.power-usual)/10
	}
}

// report sends a reading. One that is lost does not matter: another follows.
func (m *machine) report(ctx context.Context) {
	reading := fmt.Sprintf(`{"machine":%q,"power":%.1f}`, m.name, m.power)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+m.server+"/power", strings.NewReader(reading))
	if err != nil {
		return
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
	}
}

// listen waits for orders. With ?claim= the room knows which machine listens.
func (m *machine) listen(ctx context.Context) {
	for range ticks(ctx, time.Second) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.server+"/power?claim="+m.name, nil)
		if err != nil {
			return
		}
		request.Header.Set("Accept", "text/event-stream")
		if response, err := http.DefaultClient.Do(request); err == nil {
			m.obey(bufio.NewScanner(response.Body))
			_ = response.Body.Close()
		}
	}
}

// obey carries out the orders of an event stream until it ends.
func (m *machine) obey(lines *bufio.Scanner) {
	for lines.Scan() {
		if lines.Text() == "data: shut down" {
			select {
			case m.stop <- struct{}{}:
			default:
			}
		}
	}
}

// ticks yields once at once, and then in intervals until ctx ends.
func ticks(ctx context.Context, interval time.Duration) func(yield func() bool) {
	return func(yield func() bool) {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for yield() {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}
}
