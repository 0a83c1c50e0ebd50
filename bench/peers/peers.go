// Package peers has the servers that are compared. Each serves
//
//	/echo   sends back what came
//	/chat   sends what came to everybody on the path
//	/sum    adds up what came and tells everybody the total, some of them;
//	        some have a total for each path below it, too
//	/history/<room>  as /chat, but tells the room what it has stored, some of
//	        them; the newest messages are kept
//	/power  folds the readings that came and tells everybody every 250 ms,
//	        some of them
//	/paced  as /sum, but tells the others every 250 ms, some of them
//
// in the way its library's own examples do, without compression.
package peers

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Peer is a server to compare with.
type Peer struct {
	Name string
	What string // for the report

	TLS     bool // it can serve with a certificate
	Sum     bool // it serves /sum
	Rooms   bool // it serves /sum/<room>, each with a total of its own
	IDs     bool // numbers and kept messages may have ids, under which they count once
	History bool // it serves /history/<room>
	Meter   bool // it serves /power
	Paced   bool // it serves /paced
	Stores  bool // it keeps totals and messages in the folder Data
	Redis   bool // it needs a Redis server

	// Disk is how the disk alone is measured, where there is no server: see the
	// constants. Empty for all others.
	Disk string

	// Serve serves on addr until the process ends. Over TLS if secure is not
	// nil.
	Serve func(addr string, secure *tls.Config) error
}

// What is done before each sync of the disk alone.
const (
	DiskAppend    = "append"    // 4 KiB at the end of a file
	DiskOverwrite = "overwrite" // the same 4 KiB of a file
)

// Data is a folder of the running server's own. Whoever starts a peer sets it.
var Data string

// Kept is how many of its newest messages a room of /history keeps.
const Kept = 1000

// All are the peers, in the order of the report.
var All = []Peer{
	{Name: "ours", What: "this module in Caddy, engine memory", TLS: true, Sum: true, Rooms: true, History: true, IDs: true, Meter: true, Paced: true, Serve: serveOurs},
	{Name: "ours-bolt", What: "this module in Caddy, engine bolt", TLS: true, Sum: true, Rooms: true, History: true, IDs: true, Meter: true, Paced: true, Stores: true, Serve: serveOursBolt},
	{Name: "ours-metrics", What: "this module in Caddy, engine memory, metrics on", TLS: true, Sum: true, Rooms: true, History: true, IDs: true, Meter: true, Paced: true, Serve: serveOursMetrics},
	{Name: "raw-epoll", What: "raw epoll, no checks: the floor", Serve: serveEpoll},
	{Name: "raw-net", What: "raw Go net.Conn, no checks", Serve: serveNet},
	{Name: "gws", What: "gws", TLS: true, Serve: serveGWS},
	{Name: "gobwas", What: "gobwas/ws", Serve: serveGobwas},
	{Name: "nbio", What: "nbio", Serve: serveNBIO},
	{Name: "gorilla", What: "gorilla, chat example", TLS: true, Sum: true, Meter: true, Serve: serveGorilla},
	{Name: "gorilla-prepared", What: "gorilla, PreparedMessage", TLS: true, Serve: serveGorillaPrepared},
	{Name: "gorilla-caddy", What: "gorilla inside Caddy", TLS: true, Sum: true, Meter: true, Serve: serveGorillaCaddy},
	{Name: "gorilla-caddy-metrics", What: "gorilla inside Caddy, metrics on", TLS: true, Sum: true, Meter: true, Serve: serveGorillaCaddyMetrics},
	{Name: "coder", What: "coder/websocket", TLS: true, Serve: serveCoder},
	{Name: "melody", What: "melody", TLS: true, Serve: serveMelody},
	{Name: "reverse-proxy", What: "Caddy reverse_proxy + gorilla", TLS: true, Sum: true, Meter: true, Serve: serveReverseProxy},
	{Name: "redis", What: "gorilla + Redis", Sum: true, Rooms: true, History: true, Stores: true, Redis: true, Serve: serveRedis},
	{Name: "redis-pipeline", What: "gorilla + Redis, AutoPipeline", Sum: true, Rooms: true, History: true, Stores: true, Redis: true, Serve: serveRedisPipeline},
	{Name: "bbolt", What: "gorilla + bbolt, a transaction a number or message", Sum: true, Rooms: true, History: true, Stores: true, Serve: serveBbolt},
	{Name: "disk-append", What: "the disk alone: 4 KiB appended, fdatasync", Stores: true, Disk: DiskAppend},
	{Name: "disk-overwrite", What: "the disk alone: 4 KiB overwritten, fdatasync", Stores: true, Disk: DiskOverwrite},
}

// Names returns the names of all peers.
func Names() []string {
	names := make([]string, len(All))
	for i, p := range All {
		names[i] = p.Name
	}
	return names
}

// Find returns the peer with that name.
func Find(name string) (Peer, error) {
	i := slices.IndexFunc(All, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		return Peer{}, fmt.Errorf("unknown peer %q, there are %s", name, strings.Join(Names(), ", "))
	}
	return All[i], nil
}

// serveHandler serves h by net/http alone.
func serveHandler(addr string, secure *tls.Config, h http.Handler) error {
	server := &http.Server{Addr: addr, Handler: h, TLSConfig: secure, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	if secure != nil {
		return server.ListenAndServeTLS("", "")
	}
	return server.ListenAndServe()
}
