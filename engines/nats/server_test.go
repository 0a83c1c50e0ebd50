package nats

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// patience bounds every wait.
const patience = time.Minute

// serverOptions are those of a server on ports that the kernel chooses.
func serverOptions(t testing.TB) *server.Options {
	return &server.Options{
		ServerName: "alone",
		Host:       "127.0.0.1",
		Port:       -1,
		JetStream:  true,
		StoreDir:   t.TempDir(),
		NoLog:      true,
		NoSigs:     true,
	}
}

// startServer starts a server, which ends with the test.
func startServer(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	s := runServer(t, o)
	t.Cleanup(func() { stopServer(t, s) })
	return s
}

func runServer(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	return s
}

func stopServer(t testing.TB, s *server.Server) {
	ended := make(chan struct{})
	go func() {
		s.Shutdown()
		s.WaitForShutdown()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the server does not end")
	}
}

// receive waits for what another goroutine sends.
func receive[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("does not come in time: ", what)
	}
	return v
}

// bounded returns a context that ends when a call has taken too long.
func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// node is a server that can be stopped, and started again where it was.
type node struct {
	t       testing.TB
	options *server.Options
	server  *server.Server
}

func newNode(t testing.TB, o *server.Options) *node {
	if o.Port == -1 {
		o.Port = freePorts(1)[0] // which it keeps
	}
	n := &node{t: t, options: o}
	t.Cleanup(n.stop)
	return n
}

func (n *node) start() {
	n.t.Helper()
	n.server = runServer(n.t, n.options.Clone())
}

func (n *node) stop() {
	if n.server != nil {
		stopServer(n.t, n.server)
		n.server = nil
	}
}

func (n *node) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.options.Port) }

// cluster is three servers.
type cluster []*node

// startCluster starts three servers and waits until JetStream has a leader.
func startCluster(t testing.TB) cluster {
	t.Helper()
	ports, nodes := freePorts(3), make(cluster, 3)
	var routes []string
	for _, port := range ports {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i := range nodes {
		o := serverOptions(t)
		o.ServerName = fmt.Sprint("node", i)
		o.Cluster = server.ClusterOpts{Name: "three", Host: "127.0.0.1", Port: ports[i], NoAdvertise: true}
		o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
		nodes[i] = newNode(t, o)
	}
	for _, n := range nodes {
		n.start()
	}
	eventually(t, "JetStream has a leader", func() bool { return nodes.metaLeader() != nil })
	return nodes
}

// freePorts returns ports that nobody listens on and that are not given to outgoing
// connections. Servers of a cluster have to know those of the others before they start.
func freePorts(n int) (ports []int) {
	for len(ports) < n {
		port := 11_000 + rand.IntN(21_768)
		if l, err := net.Listen("tcp", fmt.Sprint(":", port)); err == nil {
			defer l.Close()
			ports = append(ports, port)
		}
	}
	return ports
}

func (c cluster) urls() (urls []string) {
	for _, n := range c {
		urls = append(urls, n.url())
	}
	return urls
}

// metaLeader returns the server that leads JetStream, or nil.
func (c cluster) metaLeader() *node {
	for _, n := range c {
		if n.server != nil && n.server.JetStreamIsLeader() {
			return n
		}
	}
	return nil
}

// leaderOf returns the server that leads a bucket, or nil.
func (c cluster) leaderOf(bucket string) *node { return c.leaderOfStream(streamPrefix + bucket) }

func (c cluster) leaderOfStream(stream string) *node {
	for _, n := range c {
		if n.server != nil && n.server.JetStreamIsStreamLeader("$G", stream) {
			return n
		}
	}
	return nil
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); {
		if time.Now().After(end) {
			t.Fatal("not so in time: ", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var buckets atomic.Int64

// newBucket returns a name that no other test has.
func newBucket() string { return fmt.Sprint("bucket", buckets.Add(1)) }
