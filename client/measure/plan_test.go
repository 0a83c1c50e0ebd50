package measure

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Every wrong value is told, all of them at once, with what is permitted.
func TestWrongPlans(t *testing.T) {
	good := plan{connections: 1, rate: 1, size: 64, duration: time.Second}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		change func(*plan)
		want   string
	}{
		{func(p *plan) { p.connections = 0 }, "--connections 0: expected 1 to 100000"},
		{func(p *plan) { p.connections = 100_001 }, "--connections 100001"},
		{func(p *plan) { p.rate = -1 }, "--rate -1: expected 0.001"},
		{func(p *plan) { p.rate = 1e8 }, "--rate 1e+08"},
		{func(p *plan) { p.size = 31 }, "--size 31: expected 32"},
		{func(p *plan) { p.size = 1 << 30 }, "--size 1073741824"},
		{func(p *plan) { p.duration = time.Millisecond }, "--duration 1ms: expected 100ms to 24h0m0s"},
		{func(p *plan) { p.duration = 25 * time.Hour }, "--duration 25h0m0s"},
		{func(p *plan) { p.wait = -1 }, "--wait -1ns"},
		{func(p *plan) { p.text, p.rate = "1", 0 }, "--message has no {id}"},
		{func(p *plan) { p.connections, p.size = 0, 0 }, "--size 0"},
	} {
		p := good
		row.change(&p)
		if err := p.check(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("got %v, want %q", err, row.want)
		}
	}
}

// All connections together send at the rate, and each its part.
func TestSchedule(t *testing.T) {
	for _, p := range []plan{
		{connections: 1, rate: 10, duration: time.Second},
		{connections: 3, rate: 10, duration: time.Second},
		{connections: 7, rate: 3, duration: time.Second},
		{connections: 10, rate: 1e6, duration: time.Second},
		{connections: 3, rate: 0.5, duration: 3 * time.Second},
	} {
		due := make(map[time.Duration]bool)
		for i := range p.connections {
			for n := 0; p.due(i, n) < p.duration; n++ {
				due[p.due(i, n)] = true
			}
		}
		want := int(p.rate*p.duration.Seconds() + 0.999)
		if len(due) != want || p.planned() != int64(want) {
			t.Errorf("%+v: %d times, planned %d, want %d", p, len(due), p.planned(), want)
		}
	}
}

// A marker is found in whatever it is packed in, and in nothing else.
func TestMarkers(t *testing.T) {
	run := newName()
	largest := marker{run, maxConnections - 1, 1 << 39, maxDuration}
	if len(largest.String()) > minSize {
		t.Errorf("%s has %d bytes", largest, len(largest.String()))
	}
	for _, m := range []marker{{run, 0, 0, 0}, {run, 5, 77, 1500 * time.Microsecond}, largest} {
		for _, message := range []string{
			m.String(), "alice: " + m.String() + ".....", `{"type":"reply","id":"` + m.String() + `","total":7}`,
			string(plan{size: minSize}.payload(m)), string(plan{text: `{"id":"{id}"}`}.payload(m)),
		} {
			if got, found := find([]byte(message), run); !found || got != m {
				t.Errorf("%q has %+v, %v, want %+v", message, got, found, m)
			}
		}
	}
	for _, message := range []string{"", run, run + "-", run + "-1-2", run + "-1-2-", run + "--1-2-3", run + "-1_2-3", run + "-zzzzzzzzzzzzzzzzzzzz-1-1", "bxxxxxx-1-2-3"} {
		if got, found := find([]byte(message), run); found {
			t.Errorf("%q has %+v", message, got)
		}
	}
}

func TestPayloads(t *testing.T) {
	m := marker{newName(), 1, 2, 3}
	if got := (plan{size: 100}).payload(m); len(got) != 100 || !strings.HasPrefix(string(got), m.String()+"..") {
		t.Errorf("%q", got)
	}
}

// Only this machine is loaded without being asked.
func TestHosts(t *testing.T) {
	for _, host := range []string{"localhost", "127.0.0.1", "127.8.9.1", "::1", "0.0.0.0"} {
		if err := checkHost(t.Context(), host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"192.0.2.7", "2001:db8::1"} {
		if err := checkHost(t.Context(), host); err == nil || !strings.Contains(err.Error(), "--yes") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := checkHost(t.Context(), "nobody.invalid"); err == nil || !strings.Contains(err.Error(), "looking up") {
		t.Errorf("nobody.invalid: %v", err)
	}
	own, err := netip.ParseAddr("::ffff:127.0.0.1")
	if err != nil || !isHere(own.Unmap(), nil) {
		t.Errorf("%s is not here, %v", own, err)
	}
}

func TestDescriptors(t *testing.T) {
	if err := checkDescriptors(1000, 1032); err != nil {
		t.Error(err)
	}
	err := checkDescriptors(10_000, 1024)
	if err == nil || !strings.Contains(err.Error(), "10000 connections need 10032 open files, and this process may have 1024") || !strings.Contains(err.Error(), "ulimit -n 10032") {
		t.Error(err)
	}
	if descriptorLimit() < 3 {
		t.Errorf("the limit is %d, and this test has more open", descriptorLimit())
	}
}
