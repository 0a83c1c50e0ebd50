package main

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddyws/caddy-websocket/bench/load"
	"github.com/caddyws/caddy-websocket/bench/peers"
)

// work is one row of the report: what the clients do.
type work struct {
	name   string
	kind   string // echo, broadcast, sum, durable, history, gentle, meter, accept, idle
	n      int    // clients; meter: sensors
	size   int    // echo: bytes
	sender int    // sum: how many of the clients send
	rooms  int    // durable, history: among which the clients are divided
	window int    // messages in flight
	rate   int    // broadcast: messages a second, instead of a window; gentle: of the one client; meter: of each sensor
	screen int    // meter: clients that watch
	total  bool   // meter: a total is kept instead of folds
	ids    bool   // durable, history: messages have ids under which they count once
	alone  bool   // accept, idle: not in a room
	tls    bool
}

const worksHelp = `
  echo-SxN[-wW][-tls]    N clients send texts of S bytes, W in flight each, and compare what comes back
  broadcast-N[-wW]       one of N clients in a room sends texts of 32 bytes, W in flight
  broadcast-N-rR         the same, R texts a second: for latencies
  sum-NxK[-wW]           K of N clients in a room add 1, W in flight each (default 4), and all watch the total
  durable-NxR[-wW][-ids] N clients in R rooms add 1, W in flight each (default 4), perhaps with ids
  history-NxR[-wW][-ids] N clients in R rooms that keep messages send texts of 100 bytes, W in flight each (default 4), and all are told
  gentle-N[-wW][-rR]     N clients in a room add 1, W in flight each (default 4), and one in another room R times a second (default 10)
  meter-NxM[-rR][-sum]   N sensors in a room send R readings a second each (default 10), and M screens watch; perhaps a sum
  accept-N[-alone][-tls] N clients at a time connect to a room, or to no room, are let in and leave, and others come
  idle-N[-alone][-tls]   N clients connect to a room, or to no room, and wait: memory, and CPU time of accepting`

var workForm = regexp.MustCompile(`^(echo|broadcast|sum|durable|history|gentle|meter|accept|idle)-(\d+)(?:x(\d+))?((?:-(?:w\d+|r\d+|ids|sum|alone|tls))*)$`)

// parseWork reads a work's name.
func parseWork(name string) (work, error) {
	m := workForm.FindStringSubmatch(name)
	if m == nil {
		return work{}, fmt.Errorf("unknown work %q, there are%s", name, worksHelp)
	}
	w := work{name: name, kind: m[1], window: 1}
	first, second := number(m[2]), number(m[3])
	switch w.kind {
	case "echo":
		w.size, w.n = first, second
	case "sum":
		w.n, w.sender, w.window = first, second, 4
	case "durable", "history":
		w.n, w.rooms, w.window = first, second, 4
	case "gentle":
		w.n, w.rate, w.window = first, 10, 4
	case "meter":
		w.n, w.screen, w.rate = first, second, 10
	default:
		w.n = first
	}
	for option := range strings.SplitSeq(m[4], "-") {
		w.take(option)
	}
	return w, w.check()
}

// take takes one option of the form that workForm has.
func (w *work) take(option string) {
	switch {
	case option == "":
	case option == "tls":
		w.tls = true
	case option == "alone":
		w.alone = true
	case option == "ids":
		w.ids = true
	case option == "sum":
		w.total = true
	case option[0] == 'w':
		w.window = number(option[1:])
	case option[0] == 'r':
		w.rate = number(option[1:])
	}
}

func number(digits string) int {
	n, _ := strconv.Atoi(digits) // they are digits, or none; too many are refused as 0 or out of bounds
	return n
}

// maxClients leaves room for a port of each within the kernel's default range.
const maxClients = 20_000

func (w work) check() error {
	for _, rule := range []struct {
		broken bool
		rule   string
	}{
		{outside(w.n, 1, maxClients), fmt.Sprintf("1 to %d clients", maxClients)},
		{outside(w.window, 1, 1024), "1 to 1024 messages in flight"},
		{outside(w.rate, 0, 1000), "at most 1000 messages a second"},
		{w.kind == "echo" && outside(w.size, 16, 32<<10), "16 to 32768 bytes"},
		{w.kind == "sum" && outside(w.sender, 1, w.n), "1 to all clients send"},
		{w.stores() && outside(w.rooms, 1, w.n), "1 room to one for each client"},
		{w.kind == "gentle" && w.rate == 0, "at least 1 message a second"},
		{w.ids && !w.stores(), "ids are for durable and history"},
		{w.total && w.kind != "meter", "sum is for meter"},
		{w.tls && !w.mayEncrypt(), "TLS is for accept and idle, and for echo with one message in flight"},
	} {
		if rule.broken {
			return fmt.Errorf("work %q: %s", w.name, rule.rule)
		}
	}
	return w.checkMeter()
}

func (w work) checkMeter() error {
	if w.kind != "meter" {
		return nil
	}
	if outside(w.n, 1, peers.MaxKeys) || outside(w.screen, 1, maxClients-w.n) || w.rate == 0 || w.window > 1 || w.tls {
		return fmt.Errorf("work %q: 1 to %d sensors, 1 screen or more and a rate, without TLS", w.name, peers.MaxKeys)
	}
	return nil
}

// mayEncrypt reports whether the generator can do the work over TLS.
func (w work) mayEncrypt() bool {
	return w.window == 1 && (w.kind == "echo" || w.kind == "accept" || w.kind == "idle")
}

func outside(n, least, most int) bool { return n < least || n > most }

// stores reports whether clients count what a disk has.
func (w work) stores() bool { return w.kind == "durable" || w.kind == "history" }

// runs reports whether a peer can do the work.
func (w work) runs(p peers.Peer) bool {
	switch {
	case p.Disk != "":
		return w.stores()
	case w.tls && !p.TLS, w.ids && !p.IDs:
		return false
	}
	switch w.kind {
	case "sum":
		return p.Sum
	case "durable", "gentle":
		return p.Sum && p.Rooms
	case "history":
		return p.History
	case "meter":
		return p.Meter && (!w.total || p.Paced)
	}
	return !p.Stores // that makes no difference
}

func (w work) connect(g *load.Generator) error {
	switch w.kind {
	case "echo":
		return g.Echo(w.n, w.size, w.window, "/echo", w.tls)
	case "broadcast":
		return g.Broadcast(w.n, w.window, w.rate, "/chat")
	case "sum":
		return g.Sum(load.Sum{Path: "/sum", Clients: w.n, Senders: w.sender, Window: w.window})
	case "durable":
		return g.Sum(load.Sum{Path: "/sum", Rooms: w.rooms, Clients: w.n, Senders: w.n, Window: w.window, IDs: w.ids})
	case "history":
		return g.History(load.History{Path: "/history", Rooms: w.rooms, Clients: w.n, Window: w.window, IDs: w.ids, Kept: peers.Kept})
	case "gentle":
		return g.Sum(load.Sum{Path: "/sum", Clients: w.n, Senders: w.n, Window: w.window, Gentle: w.rate})
	case "meter":
		path := "/power"
		if w.total {
			path = "/paced"
		}
		return g.Meter(load.Meter{Path: path, Sensors: w.n, Screens: w.screen, Rate: w.rate, Total: w.total})
	case "accept":
		return nil // all come and go in the phases
	}
	return g.Idle(w.n, w.quietPath(), w.tls)
}

// phase has the clients work.
func (w work) phase(g *load.Generator, count int, d time.Duration) (load.Phase, error) {
	if w.kind != "accept" {
		return g.Run(count, d)
	}
	defer time.Sleep(settle) // the server notices later that they have left
	return g.Accept(w.n, w.quietPath(), w.tls, count, d)
}

// quietPath is where clients that say nothing connect to.
func (w work) quietPath() string {
	if w.alone {
		return "/echo"
	}
	return "/chat"
}

// result is what one run of a work with one peer has measured.
type result struct {
	CPU       float64 // s per million messages, or per million connections
	Rate      float64 // a second
	P50, P99  float64 // ms
	Allocs    float64 // a message, or a connection
	KiB       float64 // allocated for a message, or a connection
	PerClient float64 // KiB of resident memory
	Peak      float64 // MiB of resident memory
}

// failure is the result of a run that has failed.
func failure() result {
	nan := math.NaN()
	return result{nan, nan, nan, nan, nan, nan, nan, nan}
}

// settings are what all runs have in common.
type settings struct {
	cpus     []int
	time     time.Duration
	warm     time.Duration
	data     string // folder on a disk
	profile  string // folder
	messages int    // ends a run too, if not 0
}

// run starts the peer, lets the clients work and stops it.
func (w work) run(p peers.Peer, s settings) (result, error) {
	if p.Disk != "" {
		return measureDisk(p.Disk, s)
	}
	server, err := startServer(p.Name, w.tls, s.data, s.cpus)
	if err != nil {
		return result{}, err
	}
	defer server.stop()
	g, err := load.New(server.addr)
	if err != nil {
		return result{}, err
	}
	defer g.Close()
	if w.kind == "idle" {
		return w.idle(server, g)
	}
	if err := w.connect(g); err != nil {
		return result{}, err
	}
	if _, err := w.phase(g, math.MaxInt, s.warm); err != nil {
		return result{}, fmt.Errorf("warming up: %w", err)
	}
	if s.profile == "" {
		return w.busy(server, g, s)
	}
	file := filepath.Join(s.profile, p.Name+"-"+w.name+".pprof")
	if _, err := server.ask(commandProfile + " " + file); err != nil {
		return result{}, err
	}
	res, err := w.busy(server, g, s)
	if err != nil {
		return result{}, err
	}
	_, err = server.ask(commandDone)
	return res, err
}

// busy measures one phase.
func (w work) busy(server *server, g *load.Generator, s settings) (result, error) {
	before, err := server.ask(commandUsage)
	if err != nil {
		return result{}, err
	}
	phase, err := w.phase(g, s.limit(), s.time)
	if err != nil {
		return result{}, err
	}
	after, err := server.ask(commandUsage)
	if err != nil {
		return result{}, err
	}
	return measured(phase, after.minus(before)), g.Check()
}

func (s settings) limit() int {
	if s.messages > 0 {
		return s.messages
	}
	return math.MaxInt
}

func measured(p load.Phase, used usage) result {
	count := float64(p.Count)
	return result{
		CPU:    used.CPU.Seconds() / count * 1e6,
		Rate:   count / p.Took.Seconds(),
		P50:    float64(p.Latency.ValueAtQuantile(50)) / 1000,
		P99:    float64(p.Latency.ValueAtQuantile(99)) / 1000,
		Allocs: float64(used.Allocs) / count,
		KiB:    float64(used.Bytes) / count / 1024,
		Peak:   float64(used.Peak) / (1 << 20),
	}
}

// idle measures accepting and waiting. The first clients are not counted: they
// make the server touch what it touches once.
func (w work) idle(s *server, g *load.Generator) (result, error) {
	const first = 100
	if err := g.Idle(first, w.quietPath(), w.tls); err != nil {
		return result{}, err
	}
	small, err := s.ask(commandMemory)
	if err != nil {
		return result{}, err
	}
	before, err := s.ask(commandUsage)
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	if err := w.connect(g); err != nil {
		return result{}, err
	}
	took := time.Since(begin)
	time.Sleep(settle) // goroutines of the handshake end
	after, err := s.ask(commandUsage)
	if err != nil {
		return result{}, err
	}
	large, err := s.ask(commandMemory)
	if err != nil {
		return result{}, err
	}
	n := float64(w.n)
	return result{
		CPU:       after.minus(before).CPU.Seconds() / n * 1e6,
		Rate:      n / took.Seconds(),
		PerClient: float64(large.RSS-small.RSS) / n / 1024,
		Allocs:    float64(after.minus(before).Allocs) / n,
		KiB:       float64(after.minus(before).Bytes) / n / 1024,
	}, nil
}

// settle is how long a server has for what follows a handshake, or the end of a
// connection, before it is asked for what it used.
const settle = 300 * time.Millisecond
