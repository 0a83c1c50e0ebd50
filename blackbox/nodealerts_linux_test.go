package blackbox

import (
	"regexp"
	"strings"
	"testing"
)

// Members on three nodes are told each alert once and in order, whichever node the reading
// came to: also those whose node is killed, and who go on at another one. The log, where each
// Caddy event stands, has every alert, too.
func TestAlertsOverNodes(t *testing.T) {
	const path, each = "/power/nodes", 10
	url := urls(startNATS(t, 1))
	nodes := startNodes(t, url, url, url)
	var all []*listener
	for _, s := range nodes {
		all = append(all, listeners(s, path)...)
	}
	for _, l := range all {
		l.come(t)
		l.reads()
	}
	var logs []*lines
	c := &movingSensor{sensor{path: path}, nodes}
	for i, s := range nodes {
		c.send(t, c.sent+each)
		for _, l := range all {
			l.hasHeard(t, c.sent)
		}
		logs = append(logs, s.log)
		s.kill(t)
		for _, l := range all {
			if l.s == s {
				l.leave()
				l.s = nodes[(i+1)%len(nodes)]
				l.come(t)
				l.reads()
			}
		}
		c.send(t, c.sent+each)
		s.again(t)
		s.opens(t)
	}
	for _, l := range all {
		l.hasHeard(t, c.sent)
	}
	for _, s := range nodes {
		logs = append(logs, s.log)
	}
	until(t, "all alerts in the logs", func() bool { return len(loggedAlerts(logs)) == c.sent })
	lines := 0
	for _, n := range loggedAlerts(logs) {
		lines += n
	}
	t.Logf("%d alerts, told to %d members, in %d lines of logs", c.sent, len(all), lines)
}

// movingSensor sends each reading to another node.
type movingSensor struct {
	sensor
	nodes []*server
}

// send sends readings up to the n-th. Where a node is away it takes the next.
func (c *movingSensor) send(t *testing.T, n int) {
	t.Helper()
	for next := 0; c.sent < n; next++ {
		c.s = c.nodes[next%len(c.nodes)]
		c.sensor.send(c.sent + 1)
	}
}

var alertID = regexp.MustCompile(`"id":"([^"]+)"`)

// loggedAlerts is how often each alert stands in logs.
func loggedAlerts(logs []*lines) map[string]int {
	all := make(map[string]int)
	for _, log := range logs {
		for line := range strings.Lines(log.String()) {
			if id := alertID.FindStringSubmatch(line); id != nil && strings.Contains(line, `"room event"`) {
				all[id[1]]++
			}
		}
	}
	return all
}
