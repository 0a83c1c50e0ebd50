package caddyws

import (
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

// over returns a configuration whose rooms are kept in a bucket of NATS, on OTHERPORT.
func over(option string) string {
	return "GLOBAL websocket {\n engine nats nats://127.0.0.1:OTHERPORT {\n" + option + "\n}\n}\nEND\n" + total("{message}")
}

// Caddy starts without NATS, and rooms that keep something answer 503 until it is there. A
// configuration that requires it is not loaded.
func TestCaddyStartsWithoutNATS(t *testing.T) {
	s := start(t, over(""))
	s.dial("/chat").ask("hello", "hello")
	s.refuses("/sum", http.StatusServiceUnavailable)
	s.loadFails(s.json(over("required")), "NATS")
	s.dial("/chat").ask("hello", "hello")
	startNATS(t, s.OtherPort)
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
	s.load(over("bucket other\nrequired"))
	s.dial("/sum").ask("1", "1")
	s.load(over("required"))
	s.dial("/sum").ask("1", "7")
}
