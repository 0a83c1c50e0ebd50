// Command bench compares this module with other WebSocket servers. See README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/caddyws/caddy-websocket/bench/peers"
)

func main() {
	run := measure
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "serve" {
		run, args = serve, args[1:]
	}
	if err := run(args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// The works of a run that names none.
const (
	fullWorks    = "echo-32x1000,echo-1024x1000,broadcast-1000-w1,broadcast-1000-w16,sum-1000x50,meter-1000x100,meter-1000x100-sum,accept-64,idle-5000,echo-32x1000-tls,idle-2000-tls," + durableWorks
	quickWorks   = "echo-32x100,broadcast-100-w16,sum-100x10,durable-100x4,history-64x4,accept-16,idle-500,echo-32x100-tls"
	quickPeers   = "ours,ours-bolt,raw-epoll,gws,gorilla,gorilla-caddy"
	durableWorks = "durable-1024x1,durable-1024x64,durable-1024x1-ids,history-256x64,history-64x1,history-64x1-ids,gentle-1024"
	ratioPeers   = "raw-epoll,gws,gorilla,gorilla-caddy,reverse-proxy"
)

// defaultData is on a disk on most systems, where /tmp is not.
const defaultData = "/var/tmp"

// options are what the flags say.
type options struct {
	peers    []peers.Peer
	works    []work
	ratios   []string
	runs     int
	settings settings
}

func parseOptions(args []string) (options, error) {
	peerNames, workNames, runs, length := strings.Join(peers.Names(), ","), fullWorks, 3, time.Second
	if slices.Contains(args, "-quick") || slices.Contains(args, "--quick") {
		peerNames, workNames, runs, length = quickPeers, quickWorks, 2, 300*time.Millisecond
	}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.Bool("quick", false, "other defaults: few peers, small works, under two minutes")
	flags.StringVar(&peerNames, "peers", peerNames, "servers, separated by commas; ratios are those of the first")
	flags.StringVar(&workNames, "work", workNames, "works, separated by commas:"+worksHelp+"\n")
	flags.IntVar(&runs, "runs", runs, "how often everything is repeated")
	flags.DurationVar(&length, "time", length, "how long one measurement takes")
	ratios := flags.String("ratios", ratioPeers, "servers to divide by, of those that run")
	serverCPUs := flags.String("server-cpus", "", "where servers run, such as 0-3 (default the first CPU)")
	clientCPUs := flags.String("client-cpus", "", "where the load is made (default the last CPU)")
	data := flags.String("data", defaultData, "folder on a disk for what servers store")
	profile := flags.String("profile", "", "folder to write the servers' CPU profiles to, of the last run")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if runs < 1 || length <= 0 {
		return options{}, errors.New("-runs and -time must be positive")
	}
	o := options{runs: runs, settings: settings{time: length, warm: max(length/5, 100*time.Millisecond), data: *data, profile: *profile}}
	var err error
	if o.peers, err = parseList(peerNames, peers.Find); err != nil {
		return options{}, err
	}
	if o.works, err = parseList(workNames, parseWork); err != nil {
		return options{}, err
	}
	for name := range strings.SplitSeq(*ratios, ",") {
		if slices.ContainsFunc(o.peers[1:], func(p peers.Peer) bool { return p.Name == name }) {
			o.ratios = append(o.ratios, name)
		}
	}
	o.settings.cpus, err = pin(*serverCPUs, *clientCPUs)
	return o, err
}

// parseList reads names that are separated by commas.
func parseList[T any](names string, parse func(string) (T, error)) ([]T, error) {
	var list []T
	for name := range strings.SplitSeq(names, ",") {
		x, err := parse(name)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

// measure is the command without a name: it runs everything and prints the
// report.
func measure(args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	if o.settings.profile != "" {
		if err := os.MkdirAll(o.settings.profile, 0o755); err != nil { //nolint:gosec // as the user's mask says
			return err
		}
	}
	r := newReport(o)
	for run := range o.runs {
		for _, w := range o.works {
			r.runAll(run, w)
		}
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if r.failed > 0 {
		return fmt.Errorf("%d measurements failed", r.failed)
	}
	return nil
}

// runAll runs a work once with each peer.
func (r *report) runAll(run int, w work) {
	for _, p := range r.peers {
		if !w.runs(p) {
			continue
		}
		if err := canRun(p, r.settings); err != nil {
			fmt.Fprintf(os.Stderr, "run %d of %d: %s %s skipped: %v\n", run+1, r.runs, w.name, p.Name, err)
			r.skipped[p.Name] = err
			continue
		}
		fmt.Fprintf(os.Stderr, "run %d of %d: %s %s\n", run+1, r.runs, w.name, p.Name)
		res, err := w.run(p, r.settings)
		if err != nil {
			fmt.Fprintf(os.Stderr, "run %d of %d: %s %s failed: %v\n", run+1, r.runs, w.name, p.Name, err)
			r.failed++
		}
		r.add(w, p, res, err)
	}
}

// canRun tells why a peer cannot be measured here.
func canRun(p peers.Peer, s settings) error {
	if p.Redis {
		if _, err := exec.LookPath(redisProgram); err != nil {
			return fmt.Errorf("%s is not installed", redisProgram)
		}
	}
	if p.Stores {
		_, err := fileSystem(s.data)
		return err
	}
	return nil
}

// raiseFileLimit lets this process and the servers have as many descriptors as
// they may.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
