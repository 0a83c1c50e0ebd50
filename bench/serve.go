package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/caddyws/caddy-websocket/bench/peers"
)

// usage is what a server has used since it was started.
type usage struct {
	CPU    time.Duration // user and system
	Allocs uint64        // objects on the heap
	Bytes  uint64        // of theirs
	Peak   int           // bytes, the largest RSS so far
	RSS    int           // bytes; asked for separately, as it takes a collection
}

// minus is what was used since v. The peak stays.
func (u usage) minus(v usage) usage {
	return usage{u.CPU - v.CPU, u.Allocs - v.Allocs, u.Bytes - v.Bytes, u.Peak, u.RSS - v.RSS}
}

func (u usage) plus(v usage) usage {
	return usage{u.CPU + v.CPU, u.Allocs + v.Allocs, u.Bytes + v.Bytes, u.Peak + v.Peak, u.RSS + v.RSS}
}

// serve is the command `bench serve <peer> <addr>`.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	secure := flags.Bool("tls", false, "serve over TLS, with a certificate made now")
	data := flags.String("data", defaultData, "folder on a disk: what is stored goes into one of its own there, which is removed in the end")
	controlled := flags.Bool("controlled", false, "take commands on stdin and answer on descriptor 3")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return errors.New("usage: bench serve [-tls] <peer> <addr>")
	}
	peer, config, err := findServer(flags.Arg(0), *secure)
	if err != nil {
		return err
	}
	if peer.Stores {
		if peers.Data, err = os.MkdirTemp(*data, "caddyws-bench-*"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(peers.Data) }() // nothing needs it
	}
	behind, err := startBehind(peer)
	if err != nil {
		return err
	}
	if behind != nil {
		defer behind.stop()
	}
	return serveUntilTold(peer, flags.Arg(1), config, *controlled, behind)
}

// findServer returns a peer that is a server, and with secure its configuration of TLS.
func findServer(name string, secure bool) (peer peers.Peer, config *tls.Config, err error) {
	if peer, err = peers.Find(name); err != nil || !secure && peer.Serve != nil {
		return peer, nil, err
	}
	switch {
	case peer.Serve == nil:
		return peer, nil, fmt.Errorf("%s is no server", name)
	case !peer.TLS:
		return peer, nil, fmt.Errorf("%s has no TLS", name)
	}
	config, err = peers.Certificate()
	return peer, config, err
}

// serveUntilTold serves until there is an error or a signal, or, if it is controlled,
// until the process that started this one is gone.
func serveUntilTold(peer peers.Peer, addr string, config *tls.Config, controlled bool, behind companion) error {
	failed := make(chan error, 1)
	go func() { failed <- peer.Serve(addr, config) }()
	if controlled {
		go func() { failed <- obey(behind) }()
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	select {
	case err := <-failed:
		return err
	case <-interrupted:
		return nil
	}
}

// companion is a process that a peer needs, whose usage counts as the peer's.
type companion interface {
	ask(command string) (usage, error)
	stop()
}

// startBehind starts what a peer needs, on the same CPUs; nil if it needs nothing.
func startBehind(peer peers.Peer) (companion, error) {
	switch {
	case peer.Name == "reverse-proxy":
		s, err := startServer("gorilla", false, "", nil)
		if err != nil {
			return nil, err
		}
		peers.Upstream = s.addr
		return s, nil
	case peer.Redis:
		runtime.LockOSThread() // it would end with another thread
		s, err := startRedis(peers.Data)
		if err != nil {
			return nil, err
		}
		peers.RedisSocket = s.socket
		return s, nil
	}
	return nil, nil
}

// obey carries out the commands of the process that started this one, and
// returns when it is gone.
func obey(behind companion) error {
	answers := json.NewEncoder(os.NewFile(3, "answers"))
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		u, err := carryOut(commands.Text())
		if err == nil && behind != nil {
			var v usage
			if v, err = behind.ask(commands.Text()); err == nil {
				u = u.plus(v)
			}
		}
		if err != nil {
			return err
		}
		if err := answers.Encode(u); err != nil {
			return err
		}
	}
	return commands.Err()
}

// The commands.
const (
	commandUsage   = "usage"   // CPU, Allocs, Bytes and Peak
	commandMemory  = "memory"  // RSS, after a collection
	commandProfile = "profile" // write a CPU profile to the file that is named behind
	commandDone    = "done"    // end the profile
)

func carryOut(command string) (usage, error) {
	name, file, _ := strings.Cut(command, " ")
	switch name {
	case commandUsage:
		return used()
	case commandMemory:
		debug.FreeOSMemory()
		debug.FreeOSMemory() // what pools held
		rss, err := residentSize(os.Getpid())
		return usage{RSS: rss}, err
	case commandProfile:
		f, err := os.Create(file) //nolint:gosec // named by whoever runs this
		if err != nil {
			return usage{}, err
		}
		return usage{}, pprof.StartCPUProfile(f)
	case commandDone:
		pprof.StopCPUProfile()
		return usage{}, nil
	}
	return usage{}, fmt.Errorf("unknown command %q", command)
}

func used() (usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}, err
	}
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	peak, err := peakSize(os.Getpid())
	return usage{
		CPU:    time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		Allocs: sample[0].Value.Uint64(),
		Bytes:  sample[1].Value.Uint64(),
		Peak:   peak,
	}, err
}

// residentSize returns the resident set of a process. /proc/<pid>/status is cheaper and
// wrong by some pages for each thread.
func residentSize(pid int) (int, error) { return sizeIn(pid, "smaps_rollup", "\nRss:") }

// peakSize returns the largest resident set that a process has had.
func peakSize(pid int) (int, error) { return sizeIn(pid, "status", "\nVmHWM:") }

// sizeIn returns a field of a process's file in /proc, in bytes.
func sizeIn(pid int, file, field string) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(text, []byte(field))
	var kib int
	if _, err := fmt.Sscan(string(after), &kib); err != nil {
		return 0, fmt.Errorf("reading %s: %w", file, err)
	}
	return kib << 10, nil
}
