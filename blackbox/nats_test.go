package blackbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsServer is a server of NATS in a process of its own: the tests' program, see beNATS.
type natsServer struct {
	t       *testing.T
	Name    string
	Port    int
	Cluster int    // the port for the others; 0: it is alone
	Routes  string // to the others
	Store   string // the folder of what it keeps

	process *exec.Cmd
}

// natsOf tells a process that it is a server of NATS.
const natsOf = "BLACKBOX_NATS"

// beNATS serves until the process is killed.
func beNATS(spec string) {
	var n natsServer
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fail(json.Unmarshal([]byte(spec), &n))
	o := &natsd.Options{
		ServerName: n.Name, Host: "127.0.0.1", Port: n.Port, JetStream: true, StoreDir: n.Store, NoLog: true, NoSigs: true,
	}
	if n.Cluster != 0 {
		o.Cluster = natsd.ClusterOpts{Name: "blackbox", Host: "127.0.0.1", Port: n.Cluster, NoAdvertise: true}
		o.Routes = natsd.RoutesFromStr(n.Routes)
	}
	s, err := natsd.NewServer(o)
	fail(err)
	s.Start()
	s.WaitForShutdown()
}

// startNATS starts so many servers, of one cluster if they are several.
func startNATS(t *testing.T, n int) (all []*natsServer) {
	t.Helper()
	ports := freePorts(2 * n)
	var routes []string
	for _, port := range ports[n:] {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i := range n {
		s := &natsServer{t: t, Name: fmt.Sprint("nats-", i), Port: ports[i], Store: t.TempDir()}
		if n > 1 {
			s.Cluster, s.Routes = ports[n+i], strings.Join(routes, ",")
		}
		s.start()
		t.Cleanup(s.kill)
		all = append(all, s)
	}
	return all
}

// start starts the process, over what it has left. It returns when clients can connect.
func (n *natsServer) start() {
	n.t.Helper()
	spec, err := json.Marshal(n)
	if err != nil {
		n.t.Fatal(err)
	}
	n.process = exec.Command(os.Args[0])
	n.process.Env = append(os.Environ(), natsOf+"="+string(spec))
	n.process.Stderr = os.Stderr
	dieTogether(n.process)
	if err := n.process.Start(); err != nil {
		n.t.Fatal(err)
	}
	until(n.t, n.Name+" to start", func() bool {
		conn, err := net.Dial("tcp", n.address())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (n *natsServer) kill() {
	if n.process == nil {
		return
	}
	if err := n.process.Process.Kill(); err != nil {
		n.t.Error(err)
	}
	_ = n.process.Wait() // it was killed
	n.process = nil
}

func (n *natsServer) address() string { return fmt.Sprintf("127.0.0.1:%d", n.Port) }

// urls of servers, as the engine's arguments.
func urls(all []*natsServer) string {
	var text []string
	for _, n := range all {
		text = append(text, "nats://"+n.address())
	}
	return strings.Join(text, " ")
}

// whole waits until all replicas of the bucket are where its leader is.
func whole(t *testing.T, all []*natsServer) {
	t.Helper()
	conn, js := jetStream(t, all)
	defer conn.Close()
	within(t, 4*patience, "all replicas to be current", func() bool { return isWhole(js, len(all)) })
}

// jetStream connects to servers.
func jetStream(t *testing.T, all []*natsServer) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect(strings.ReplaceAll(urls(all), " ", ","), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

func isWhole(js jetstream.JetStream, replicas int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, "KV_websocket")
	if err != nil {
		return false
	}
	info, err := stream.Info(ctx)
	if err != nil || info.Cluster == nil || len(info.Cluster.Replicas) != replicas-1 {
		return false
	}
	for _, r := range info.Cluster.Replicas {
		if !r.Current || r.Offline {
			return false
		}
	}
	return true
}
