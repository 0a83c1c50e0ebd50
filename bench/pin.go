package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// pinnedEnv is set in the environment of a process that runs where it shall, to
// the servers' CPUs.
const pinnedEnv = "CADDYWS_BENCH_PINNED"

// pin puts this process, which makes the load, on client CPUs and returns those
// of the servers. It executes itself again for that: then all threads are there,
// and the Go runtime counts only those CPUs. With one CPU there is nothing to
// choose and it returns none.
func pin(serverCPUs, clientCPUs string) ([]int, error) {
	if pinned, ok := os.LookupEnv(pinnedEnv); ok {
		return parseCPUs(pinned)
	}
	servers, clients, err := chooseCPUs(serverCPUs, clientCPUs)
	if err != nil || len(servers) == 0 {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	set := cpuSet(clients)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("pinning to CPUs %v: %w", clients, err)
	}
	env := append(os.Environ(), pinnedEnv+"="+formatCPUs(servers))
	return nil, syscall.Exec(program, os.Args, env) //nolint:gosec // itself
}

// chooseCPUs returns what was asked for, or the first CPU for the server and the
// last for the clients.
func chooseCPUs(serverCPUs, clientCPUs string) (servers, clients []int, err error) {
	if servers, err = parseCPUs(serverCPUs); err != nil {
		return nil, nil, err
	}
	if clients, err = parseCPUs(clientCPUs); err != nil {
		return nil, nil, err
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, nil, err
	}
	var all []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	if len(servers)+len(clients) == 0 && len(all) < 2 {
		return nil, nil, nil
	}
	if len(servers) == 0 {
		servers = []int{all[0]}
	}
	if len(clients) == 0 {
		clients = []int{all[len(all)-1]}
	}
	if slices.ContainsFunc(servers, func(cpu int) bool { return slices.Contains(clients, cpu) }) {
		return nil, nil, errors.New("server and clients share a CPU: name both with -server-cpus and -client-cpus")
	}
	return servers, clients, nil
}

// parseCPUs reads a list such as 0,2-3.
func parseCPUs(list string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(list, ",") {
		if part == "" {
			continue
		}
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		first, err := strconv.Atoi(from)
		if err != nil {
			return nil, fmt.Errorf("reading CPUs %q: %w", list, err)
		}
		last, err := strconv.Atoi(to)
		if err != nil {
			return nil, fmt.Errorf("reading CPUs %q: %w", list, err)
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

func formatCPUs(cpus []int) string {
	parts := make([]string, len(cpus))
	for i, cpu := range cpus {
		parts[i] = strconv.Itoa(cpu)
	}
	return strings.Join(parts, ",")
}

func cpuSet(cpus []int) unix.CPUSet {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return set
}
