package caddyws

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// startNATS starts a server of NATS on a port.
func startNATS(t *testing.T, port int) {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server of NATS does not start")
	}
}

// over returns a configuration whose rooms are kept in a bucket of NATS.
func over(port int, option string) string {
	return fmt.Sprintf("GLOBAL websocket {\n engine nats nats://127.0.0.1:%d {\n%s\n}\n}\nEND\n%s", port, option, total("{message}"))
}

// Caddy starts without NATS, and rooms that keep something answer 503 until it is there. A
// configuration that requires it is not loaded.
func TestCaddyStartsWithoutNATS(t *testing.T) {
	port := freePort(t)
	s := start(t, over(port, ""))
	s.dial("/chat").ask("hello", "hello")
	s.refuses("/sum", http.StatusServiceUnavailable)
	s.loadFails(s.json(over(port, "required")), "NATS")
	s.dial("/chat").ask("hello", "hello")
	startNATS(t, port)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		answer, body := s.request(http.MethodPost, "/sum", "5")
		if answer.StatusCode == http.StatusOK {
			break
		}
		if answer.StatusCode != http.StatusServiceUnavailable || time.Now().After(end) {
			t.Fatal(answer.Status, body)
		}
	}
	s.dial("/sum").ask("1", "6")
	s.load(over(port, "bucket other\nrequired"))
	s.dial("/sum").ask("1", "1")
	s.load(over(port, "required"))
	s.dial("/sum").ask("1", "7")
}
