package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/caddyws/caddy-websocket/bench/peers"
)

// report collects the results of all runs.
type report struct {
	options
	failed  int
	results map[string][]result // by work and peer, one a run; NaN if it failed
	skipped map[string]error    // by peer: why it cannot run here
}

func newReport(o options) *report {
	return &report{options: o, results: make(map[string][]result), skipped: make(map[string]error)}
}

func (r *report) add(w work, p peers.Peer, res result, err error) {
	if err != nil {
		res = failure()
	}
	key := w.name + " " + p.Name
	r.results[key] = append(r.results[key], res)
}

// column is a figure of the report.
type column struct {
	title string
	value func(result) float64
}

var (
	workColumns = []column{
		{"CPU s per million", func(r result) float64 { return r.CPU }},
		{"per second", func(r result) float64 { return r.Rate }},
		{"p50 ms", func(r result) float64 { return r.P50 }},
		{"p99 ms", func(r result) float64 { return r.P99 }},
		{"allocations", func(r result) float64 { return r.Allocs }},
	}
	acceptColumns = append(slices.Clip(workColumns),
		column{"KiB allocated", func(r result) float64 { return r.KiB }})
	durableColumns = append(slices.Clip(workColumns),
		column{"peak MiB", func(r result) float64 { return r.Peak }})
	idleColumns = []column{
		{"KiB a client", func(r result) float64 { return r.PerClient }},
		{"accepting: CPU s per million", func(r result) float64 { return r.CPU }},
		{"accepted per second", func(r result) float64 { return r.Rate }},
		{"allocations", func(r result) float64 { return r.Allocs }},
	}
)

func (w work) columns() []column {
	switch w.kind {
	case "idle":
		return idleColumns
	case "accept":
		return acceptColumns
	case "durable", "history", "gentle":
		return durableColumns
	}
	return workColumns
}

// print writes the report as Markdown.
func (r *report) print(to io.Writer) error {
	out := new(strings.Builder)
	fmt.Fprintf(out, "%s\n\nMedians of %d interleaved runs of %s, with minimum and maximum.\n", machine(r.settings), r.runs, r.settings.time)
	for _, w := range r.works {
		r.printWork(out, w)
	}
	r.printRatios(out)
	_, err := io.WriteString(to, out.String())
	return err
}

func (r *report) printWork(out *strings.Builder, w work) {
	fmt.Fprintf(out, "\n### %s\n\n", w.name)
	out.WriteString("| server |")
	for _, c := range w.columns() {
		fmt.Fprintf(out, " %s |", c.title)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", len(w.columns())))
	for _, p := range r.peers {
		results := r.results[w.name+" "+p.Name]
		if err := r.skipped[p.Name]; err != nil && w.runs(p) {
			fmt.Fprintf(out, "| %s | skipped: %v |%s\n", p.What, err, strings.Repeat(" |", len(w.columns())-1))
		}
		if len(results) == 0 {
			continue
		}
		fmt.Fprintf(out, "| %s |", p.What)
		for _, c := range w.columns() {
			fmt.Fprintf(out, " %s |", summary(values(results, c.value)))
		}
		out.WriteByte('\n')
	}
}

// printRatios divides the first peer's figures by those of others. The two were
// measured one after the other in each run, so the quotients of each run say
// more on a busy machine than that of the medians.
func (r *report) printRatios(out *strings.Builder) {
	if len(r.ratios) == 0 {
		return
	}
	fmt.Fprintf(out, "\n### %s divided by\n\n| work | figure | %s |\n|---|---|%s\n",
		r.peers[0].What, strings.Join(r.ratios, " | "), strings.Repeat("---|", len(r.ratios)))
	for _, w := range r.works {
		ours := r.results[w.name+" "+r.peers[0].Name]
		for _, c := range w.columns() {
			if c.title == "p50 ms" || c.title == "allocations" || c.title == "peak MiB" {
				continue
			}
			fmt.Fprintf(out, "| %s | %s |", w.name, c.title)
			for _, name := range r.ratios {
				fmt.Fprintf(out, " %s |", summary(quotients(ours, r.results[w.name+" "+name], c.value)))
			}
			out.WriteByte('\n')
		}
	}
}

func values(results []result, value func(result) float64) []float64 {
	v := make([]float64, len(results))
	for i, res := range results {
		v[i] = value(res)
	}
	return v
}

func quotients(a, b []result, value func(result) float64) []float64 {
	var q []float64
	for i := range min(len(a), len(b)) {
		q = append(q, value(a[i])/value(b[i]))
	}
	return q
}

// summary is the median, with minimum and maximum if there are several.
func summary(v []float64) string {
	v = slices.DeleteFunc(slices.Clone(v), math.IsNaN)
	if len(v) == 0 {
		return "-"
	}
	slices.Sort(v)
	middle := len(v) / 2
	median := v[middle]
	if len(v)%2 == 0 {
		median = (v[middle-1] + v[middle]) / 2
	}
	if len(v) == 1 {
		return short(median)
	}
	return fmt.Sprintf("%s (%s–%s)", short(median), short(v[0]), short(v[len(v)-1]))
}

// short has three digits that count.
func short(x float64) string {
	switch size := math.Abs(x); {
	case math.IsInf(x, 0):
		return "-"
	case size >= 10_000:
		return fmt.Sprintf("%.0f k", x/1000)
	case size >= 100:
		return fmt.Sprintf("%.0f", x)
	case size >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// machine tells where this runs, and what.
func machine(s settings) string {
	parts := []string{runtime.Version(), cpuModel(), "Linux " + kernel()}
	if name, err := fileSystem(s.data); err == nil {
		parts = append(parts, "data on "+name)
	}
	if len(s.cpus) == 0 {
		parts = append(parts, "not pinned")
	} else {
		parts = append(parts, "servers on CPU "+formatCPUs(s.cpus))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			switch dep.Path {
			case "github.com/caddyserver/caddy/v2", "github.com/gorilla/websocket", "github.com/lxzan/gws", "github.com/gobwas/ws",
				"github.com/coder/websocket", "github.com/lesismal/nbio", "github.com/olahol/melody",
				"github.com/redis/go-redis/v9", "go.etcd.io/bbolt":
				parts = append(parts, strings.TrimPrefix(dep.Path, "github.com/")+" "+dep.Version)
			}
		}
	}
	return strings.Join(parts, ", ") + "."
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, " \t:"))
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "?"
	}
	return unix.ByteSliceToString(name.Release[:])
}
