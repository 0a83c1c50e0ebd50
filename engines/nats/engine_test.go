package nats

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/enginestest"
	"github.com/caddyws/caddy-websocket/leaktest"
)

func TestMain(m *testing.M) {
	leaktest.Main(m, leaktest.IgnoreLoops(),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats.go/jetstream.(*pullConsumer).fetch.func1")) // up to a second after its client has closed
}

func TestContract(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	enginestest.Run(t, func(*testing.T) engines.Opener {
		return &Opener{URLs: []string{url}, Bucket: newBucket()}
	})
}

func TestContractInACluster(t *testing.T) {
	urls := startCluster(t).urls()
	enginestest.Run(t, func(*testing.T) engines.Opener {
		return settlingOpener{&Opener{URLs: urls, Bucket: newBucket(), Replicas: 3}}
	})
}
