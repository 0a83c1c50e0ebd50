package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/bench/peers"
)

// TestMain lets the test binary be the servers too, as the command is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Every peer does every work right. The generator compares all that comes;
// nothing is timed.
func TestPeersAreCorrect(t *testing.T) {
	works := []string{"echo-32x10", "echo-1024x10-w4", "echo-32x10-tls", "broadcast-10-w4", "broadcast-10-r200", "sum-10x3", "durable-12x3", "durable-12x1-w1", "durable-12x1-ids", "history-12x3", "history-12x1-w1", "history-12x1-ids", "gentle-6-r200", "meter-10x3-r50", "meter-10x3-r50-sum", "accept-10", "accept-10-alone-tls", "idle-20", "idle-20-alone-tls"}
	for _, p := range peers.All {
		t.Run(p.Name, func(t *testing.T) {
			switch err := canRun(p, settings{data: defaultData}); {
			case err != nil && os.Getenv("CI") == "true":
				t.Fatal(err)
			case err != nil:
				t.Skip(err)
			}
			for _, name := range works {
				w := mustParse(t, name)
				if !w.runs(p) {
					continue
				}
				count := 300
				if w.kind == "history" && w.rooms == 1 {
					count += peers.Kept // so that the oldest are not kept
				}
				res, err := w.run(p, settings{time: 10 * time.Second, messages: count, data: defaultData})
				if err != nil {
					t.Errorf("%s: %v", name, err)
				} else if res.Rate <= 0 {
					t.Errorf("%s: nothing was counted: %+v", name, res)
				}
			}
		})
	}
}

func mustParse(t *testing.T, name string) work {
	t.Helper()
	w, err := parseWork(name)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestDefaultWorksExist(t *testing.T) {
	for name := range strings.SplitSeq(fullWorks+","+quickWorks, ",") {
		mustParse(t, name)
	}
	for name := range strings.SplitSeq(quickPeers+","+ratioPeers, ",") {
		if _, err := peers.Find(name); err != nil {
			t.Error(err)
		}
	}
}

func TestParseWork(t *testing.T) {
	got := mustParse(t, "sum-1000x50-w8")
	want := work{name: "sum-1000x50-w8", kind: "sum", n: 1000, sender: 50, window: 8}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = mustParse(t, "durable-64x8-ids")
	want = work{name: "durable-64x8-ids", kind: "durable", n: 64, rooms: 8, window: 4, ids: true}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = mustParse(t, "history-64x8-w2-ids")
	want = work{name: "history-64x8-w2-ids", kind: "history", n: 64, rooms: 8, window: 2, ids: true}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = mustParse(t, "meter-1000x100-r20-sum")
	want = work{name: "meter-1000x100-r20-sum", kind: "meter", n: 1000, screen: 100, rate: 20, window: 1, total: true}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range []string{"", "durable-10", "durable-10x11", "durable-10x1-tls", "history-10", "history-10x11", "history-10x0", "history-10x1-tls", "gentle-10-r0", "sum-10x3-ids", "echo", "echo-32", "echo-8x10", "echo-32x0", "echo-32x10-w0", "echo-32x10-q4", "echo-32x99999999999999999999",
		"sum-10x11", "sum-10", "broadcast-10-tls", "idle-30000", "meter-10", "meter-10x0", "meter-1001x1", "meter-10x1-r0", "meter-10x1-w4", "meter-10x1-tls", "sum-10x3-sum"} {
		if w, err := parseWork(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, w)
		}
	}
}

func TestParseCPUs(t *testing.T) {
	cpus, err := parseCPUs("0,2-4")
	if err != nil || formatCPUs(cpus) != "0,2,3,4" {
		t.Errorf("got %v, %v", cpus, err)
	}
	for _, bad := range []string{"x", "1-x", "-"} {
		if _, err := parseCPUs(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// A failed run is left out of the medians, and of the quotients of its round.
func TestReport(t *testing.T) {
	w := mustParse(t, "echo-32x10")
	ours, gws := peers.Peer{Name: "ours", What: "we"}, peers.Peer{Name: "gws", What: "they"}
	r := newReport(options{peers: []peers.Peer{ours, gws}, works: []work{w}, ratios: []string{"gws"}, runs: 4})
	for i, cpu := range []float64{1, 2, 3} {
		r.add(w, ours, result{CPU: cpu}, nil)
		r.add(w, gws, result{CPU: 2 * cpu * float64(i+1)}, nil)
	}
	r.add(w, ours, result{}, fmt.Errorf("broken"))
	r.add(w, gws, result{CPU: 100}, nil)
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| we | 2.00 (1.00–3.00) |",
		"| they | 13.0 (2.00–100) |",
		"| echo-32x10 | CPU s per million | 0.25 (0.17–0.50) |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// A peer that cannot run here has a row that says why, in the tables of its works.
func TestReportOfSkipped(t *testing.T) {
	durable, echo := mustParse(t, "durable-2x1"), mustParse(t, "echo-32x10")
	redis := peers.Peer{Name: "redis", What: "Redis", Sum: true, Rooms: true, Stores: true}
	r := newReport(options{peers: []peers.Peer{redis}, works: []work{durable, echo}, runs: 1})
	r.skipped["redis"] = errors.New("it is not installed")
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "| Redis | skipped: it is not installed |"); n != 1 {
		t.Errorf("%d rows, want 1, in\n%s", n, &out)
	}
}

// What is in memory is no disk.
func TestFileSystem(t *testing.T) {
	if _, err := fileSystem(defaultData); err != nil {
		t.Error(err)
	}
	if mounts, err := os.ReadFile("/proc/mounts"); err != nil || !strings.Contains(string(mounts), " /dev/shm tmpfs ") {
		t.Skip("/dev/shm is not in memory")
	}
	if name, err := fileSystem("/dev/shm"); !errors.Is(err, errInMemory) {
		t.Errorf("%q, %v", name, err)
	}
}

func TestShort(t *testing.T) {
	for x, want := range map[float64]string{0: "0.00", 0.123: "0.12", 12.34: "12.3", 1234: "1234", 123456: "123 k"} {
		if got := short(x); got != want {
			t.Errorf("%v is %q, want %q", x, got, want)
		}
	}
}
