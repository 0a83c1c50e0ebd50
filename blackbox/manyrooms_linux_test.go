package blackbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Three nodes have the same 1,500 rooms in memory, with a member each. What is added to a room
// over one node is told to its members on the others, for all of them. NATS has no consumer
// for a room: not more than one a node. What nodes and NATS need while nothing happens is
// logged: for a moment, or a minute if the environment has CADDYWS_NODES=2m.
func TestManyRoomsOverNodes(t *testing.T) {
	rooms, idle := 1500, time.Second
	if lasts, _ := siegeTime(t); lasts > 0 {
		idle = time.Minute
	} else if race {
		rooms = 300 // sockets are slow there
	}
	needDescriptors(t, 3*rooms+200)
	servers := startNATS(t, 1)
	url := urls(servers)
	nodes := startNodes(t, url, url, url)
	processes := map[string]int{"NATS": servers[0].process.Process.Pid}
	for i, s := range nodes {
		processes[fmt.Sprint("node ", i)] = s.process.Process.Pid
	}
	before := usages(t, processes)
	members := make([][]*webSocketSender, len(nodes))
	var work sync.WaitGroup
	for i, s := range nodes {
		members[i] = make([]*webSocketSender, rooms)
		work.Go(func() { enterAll(t, s, members[i]) })
	}
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for i := range nodes {
		work.Go(func() { useAll(t, members, i) })
	}
	work.Wait()
	if n := consumers(t, servers); n > len(nodes) {
		t.Errorf("%d consumers of %d rooms", n, rooms)
	}
	begun, used := time.Now(), usages(t, processes)
	time.Sleep(idle) // in which nothing happens
	for name, now := range usages(t, processes) {
		t.Logf("%s: %d KiB with %d rooms, %d before; %.1f %% of a CPU while idle", name, now.memory, rooms, before[name].memory,
			100*(now.cpu-used[name].cpu).Seconds()/time.Since(begun).Seconds())
	}
}

func roomNumber(i int) string { return "/sum/many-" + strconv.Itoa(i) }

// enterAll has a member come to each room over a node.
func enterAll(t *testing.T, s *server, members []*webSocketSender) {
	for i := range members {
		c, err := joinSender(s.address(), roomNumber(i))
		if err != nil {
			t.Errorf("room %d: %v", i, err)
			return
		}
		t.Cleanup(func() { c.Close() })
		members[i] = c
	}
}

// useAll adds to each third room over a node, and expects the members on all nodes to be told.
func useAll(t *testing.T, members [][]*webSocketSender, node int) {
	for i := node; i < len(members[node]); i += len(members) {
		c := members[node][i]
		if err := c.send(operation{value: "7"}); err != nil {
			t.Errorf("room %d: %v", i, err)
			return
		}
		for _, all := range members {
			a, err := all[i].read()
			for err == nil && a.Total.String() == "0" {
				a, err = all[i].read()
			}
			if err != nil || a.Total.String() != "7" || a.Version != 1 {
				t.Errorf("room %d: a member is told %s, %v", i, a.raw, err)
				return
			}
		}
	}
}

// usage is what a process has needed.
type usage struct {
	memory int // in KiB, now
	cpu    time.Duration
}

// usages are those of processes.
func usages(t *testing.T, processes map[string]int) map[string]usage {
	t.Helper()
	all := make(map[string]usage)
	for name, pid := range processes {
		all[name] = usageOf(t, pid)
	}
	return all
}

func usageOf(t *testing.T, pid int) usage {
	t.Helper()
	const tick = time.Second / 100
	page := os.Getpagesize() >> 10
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the third one on
	var numbers [3]int
	for i, field := range []int{14, 15, 24} {
		if numbers[i], err = strconv.Atoi(fields[field-3]); err != nil {
			t.Fatal(err)
		}
	}
	return usage{memory: numbers[2] * page, cpu: time.Duration(numbers[0]+numbers[1]) * tick}
}

// consumers is how many the bucket has.
func consumers(t *testing.T, all []*natsServer) int {
	t.Helper()
	conn, js := jetStream(t, all)
	defer conn.Close()
	stream, err := js.Stream(t.Context(), "KV_websocket")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Consumers
}
