package caddyws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/tally"
)

// tallies is what has been counted since the process began. Configurations that follow
// each other go on with it.
var tallies = tally.NewSet()

// The metrics. Their labels have no values but those that stand in a configuration or
// here: what clients send makes no new one.
var (
	connectionsMetric = metric("connections", "Connections there are.", "route", "transport")
	roomsMetric       = metric("rooms", "Rooms with members.", "app")
	peopleMetric      = metric("people", "People in rooms, users and others, by the option presence.", "app")
	storedRoomsMetric = metric("stored_rooms", "Rooms that the engine keeps.")
	queuedMetric      = metric("queued_bytes", "Bytes that wait for clients.")
	handshakesMetric  = metric("handshakes_total", "Handshakes, of WebSockets and event streams, by what came of them.", "route", "result")
	refusedMetric     = metric("requests_refused_total", "Plain requests that were refused, by why.", "route", "result")
	messagesMetric    = metric("messages_total", "Messages of clients, and to them.", "route", "direction")
	bytesMetric       = metric("bytes_total", "Bytes of clients, and to them: payloads, headers and control frames.", "route", "direction")
	closesMetric      = metric("closes_total", "Connections that have ended, by close code.", "route", "code")
	replacedMetric    = metric("updates_replaced_total", "Updates that were never sent, since a newer one came before a client had read them.", "route")
	appErrorsMetric   = metric("app_errors_total", "Errors and panics of apps.", "route")
	alertsMetric      = metric("alerts_total", "Alerts that have begun.", "route", "alert")
	operationsMetric  = metric("operations_total", "Operations on the states of rooms, by what came of them.", "app", "result")
	gapsMetric        = metric("gaps_total", "Gaps that clients were told of, since what they had asked for is not kept.", "app")
	commitsMetric     = metric("commit_duration_seconds", "How long commits took. Those of the engine memory are not timed.")
	batchesMetric     = metric("batch_operations", "How many operations were committed together.")
	engineMetric      = metric("engine_errors_total", "Calls of the engine that have failed.", "engine", "operation")
)

func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("caddy_websocket_"+name, help, labels, nil)
}

// collector shows the metrics of a configuration.
type collector struct{ app *App }

// registerMetrics has the metrics shown with Caddy's own.
func (a *App) registerMetrics(ctx caddy.Context) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	if err := registry.Register(collector{a}); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// Describe tells which metrics there are.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		connectionsMetric, roomsMetric, peopleMetric, storedRoomsMetric, queuedMetric, handshakesMetric, refusedMetric, messagesMetric,
		bytesMetric, closesMetric, replacedMetric, appErrorsMetric, alertsMetric, operationsMetric, gapsMetric, commitsMetric,
		batchesMetric, engineMetric,
	} {
		ch <- d
	}
}

// Collect looks at everything that is counted.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := sink{ch}
	s.rooms(c.app)
	s.routes(c.app)
	s.apps()
	s.engines()
}

// sink takes metrics.
type sink struct{ ch chan<- prometheus.Metric }

func (s sink) gauge(d *prometheus.Desc, value float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (s sink) counter(d *prometheus.Desc, value uint64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

// countTimeout bounds how long the engine may take to count its rooms.
const countTimeout = 5 * time.Second

// rooms shows how many rooms there are.
func (s sink) rooms(a *App) {
	for app, n := range a.hub.RoomsWithMembers() {
		s.gauge(roomsMetric, float64(n), label(app))
	}
	for app, n := range a.hub.People() {
		s.gauge(peopleMetric, float64(n), label(app))
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	if n, ok := a.hub.StoredRooms(ctx); ok {
		s.gauge(storedRoomsMetric, float64(n))
	}
}

// routes shows what is counted of the routes that are configured, and of those that have
// had connections.
func (s sink) routes(a *App) {
	configured := make(map[string]bool)
	for _, h := range a.handlers {
		configured[h.Name] = true
	}
	counts, queued := gatherRoutes()
	s.gauge(queuedMetric, float64(queued))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if c := counts[name]; configured[name] || len(c.Closes) > 0 || c.Sockets+c.Streams > 0 {
			s.route(label(name), c)
		}
	}
}

func (s sink) route(name string, c tally.RouteCounts) {
	s.gauge(connectionsMetric, float64(c.Sockets), name, overWebSocket)
	s.gauge(connectionsMetric, float64(c.Streams), name, overEvents)
	for result, n := range c.Handshakes {
		s.counter(handshakesMetric, n, name, result)
	}
	for result, n := range c.Refusals {
		s.counter(refusedMetric, n, name, result)
	}
	s.counter(messagesMetric, c.MessagesIn, name, "in")
	s.counter(messagesMetric, c.MessagesOut, name, "out")
	s.counter(bytesMetric, c.BytesIn, name, "in")
	s.counter(bytesMetric, c.BytesOut, name, "out")
	for code, n := range c.Closes {
		s.counter(closesMetric, n, name, codeLabel(code))
	}
	s.counter(replacedMetric, c.Replaced, name)
	s.counter(appErrorsMetric, c.AppErrors, name)
	for alert, n := range c.Alerts {
		s.counter(alertsMetric, n, name, alert)
	}
}

// gatherRoutes looks at all routes and at all connections that there are, whatever
// configuration they came by. queued is how many bytes wait for them.
func gatherRoutes() (counts map[string]tally.RouteCounts, queued int) {
	gathering := make(map[*tally.Route]*tally.Gathering)
	routes := tallies.Routes()
	for _, r := range routes {
		gathering[r] = r.Gather()
	}
	hubs.Range(func(_, shared any) bool {
		shared.(*sharedHub).EachMember(hub.Filter{}, func(m *room.Member) {
			stats := m.Stats()
			queued += stats.Queued
			if g := gathering[m.Route().Tally]; g != nil { // else the route is newer than this look
				g.Add(stats)
			}
		})
		return true
	})
	counts = make(map[string]tally.RouteCounts)
	for name, r := range routes {
		counts[name] = gathering[r].Counts()
	}
	return counts, queued
}

// apps shows what is counted of operations and gaps.
func (s sink) apps() {
	for app, t := range tallies.Apps() {
		for result, n := range t.Operations() {
			s.counter(operationsMetric, n, label(app), result)
		}
		s.counter(gapsMetric, t.Gaps(), label(app))
	}
	batches, durations := tallies.Work()
	s.ch <- prometheus.MustNewConstHistogram(batchesMetric, batches.Count(), batches.Sum(), batches.Below(1, tally.Batches))
	s.ch <- prometheus.MustNewConstHistogram(commitsMetric, durations.Count(), durations.Seconds(), durations.Below(tally.FirstDuration, tally.Durations))
}

// engines shows which calls have failed.
func (s sink) engines() {
	for call, n := range tallies.EngineErrors() {
		s.counter(engineMetric, n, label(call.Engine), call.Operation)
	}
}

// label returns a name as the value of a label, which must be UTF-8.
func label(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

func codeLabel(code uint16) string {
	if code == tally.OtherCode {
		return "other"
	}
	return strconv.Itoa(int(code))
}

// Interface guards
var _ prometheus.Collector = collector{}
