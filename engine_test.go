package caddyws

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyws/caddy-websocket/engines/bolt"
)

// defaultFile is where a server keeps its rooms by default.
func (s *server) defaultFile() string {
	return filepath.Join(s.dir, "caddy", "websocket", "rooms.db")
}

// Totals are there again after Caddy has ended, and their epoch with them.
func TestTotalsOutliveCaddy(t *testing.T) {
	s := start(t, total("{message}"))
	s.dial("/sum").ask("5", "5")
	first := s.state("/sum")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	s.load(total("{message}"))
	if again := s.state("/sum"); again != first {
		t.Errorf("the state was %+v, and is %+v", first, again)
	}
	s.dial("/sum").ask("1", "6")
}

// Where nothing is kept no file is made, and validating a configuration makes none.
func TestTheFileIsOpenedOnlyIfSomethingIsKept(t *testing.T) {
	s := start(t, ":PORT {\n websocket /chat broadcast\n}")
	s.dial("/chat").ask("hello", "hello")
	var config caddy.Config
	if err := json.Unmarshal(s.json(total("{message}")), &config); err != nil {
		t.Fatal(err)
	}
	config.Admin, config.Logging = nil, nil
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.defaultFile()); !os.IsNotExist(err) {
		t.Errorf("there is a file, %v", err)
	}
	s.load(total("{message}"))
	s.dial("/sum").ask("1", "1")
	if info, err := os.Stat(s.defaultFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
}

// A file that another process has cannot be used: that is said with its name and what
// can be done, and what runs goes on.
func TestAFileThatIsHeldElsewhere(t *testing.T) {
	s := start(t, total("{message}"))
	s.dial("/sum").ask("5", "5")
	held := filepath.Join(t.TempDir(), "held.db")
	other, err := (&bolt.Opener{Path: held}).Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	config := s.json("GLOBAL websocket {\n engine bolt " + held + "\n}\nEND\n" + total("{message}"))
	s.loadFails(config, held)
	s.loadFails(config, "engine bolt <path>")
	s.dial("/sum").ask("1", "6")
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	s.dial("/sum").ask("1", "1")
}

// A file that is none of ours is refused, and left as it is.
func TestAFileThatIsDamaged(t *testing.T) {
	s := start(t, ":PORT {\n respond ok\n}")
	if err := os.MkdirAll(filepath.Dir(s.defaultFile()), 0o700); err != nil {
		t.Fatal(err)
	}
	damaged := strings.Repeat("no rooms here", 10000)
	if err := os.WriteFile(s.defaultFile(), []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	s.loadFails(s.json(total("{message}")), s.defaultFile())
	if now, err := os.ReadFile(s.defaultFile()); err != nil || string(now) != damaged {
		t.Errorf("the file has changed, %v", err)
	}
}

// A reload that names another place starts there, sends the members to it, and comes
// back to what was there before.
func TestAReloadToAnotherEngineAndBack(t *testing.T) {
	s := start(t, total("{message}"))
	c := s.dial("/sum")
	c.ask("5", "5")
	s.load("GLOBAL websocket {\n engine memory\n}\nEND\n" + total("{message}"))
	c.expectClose(1012)
	c = s.dial("/sum")
	c.ask("1", "1")
	s.load(total("{message}"))
	c.expectClose(1012)
	s.dial("/sum").ask("1", "6")
}

// The option history needs an engine that keeps messages. One that does not is named, on a start
// and on a reload, and goes on with other routes.
func TestAnEngineThatKeepsNoMessages(t *testing.T) {
	const engine = "GLOBAL websocket {\n engine test_forgetful\n}\nEND\n"
	s := start(t, engine+total("{message}"))
	c := s.dial("/sum")
	c.ask("5", "5")
	history := s.json(engine + ":PORT {\n websocket /sum sum\n websocket /chat {\n app broadcast\n name talk\n history 10\n}\n}")
	s.loadFails(history, `the engine test_forgetful keeps no messages: the option history of the route "talk" needs one that does`)
	c.ask("1", "6")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	s.loadFails(history, "the engine test_forgetful keeps no messages")
	s.load(total("{message}"))
}
