// Command cluster starts three servers of NATS, three Caddy nodes that share their rooms
// through these, and a load balancer. Each is a process of its own, which can be killed, and
// started again:
//
//	kill caddy-2
//	start caddy-2
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyws/caddy-websocket"
)

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "nats":
		serveNATS(os.Args[2])
	case len(os.Args) > 1: // run, for Caddy
		caddycmd.Main()
	default:
		runAll()
	}
}

// runAll starts everything and does what is typed, until it is interrupted.
func runAll() {
	parts := newParts()
	for _, p := range parts {
		p.say(p.start())
	}
	fmt.Println("open http://localhost:8080/sum, or type: kill caddy-2, start caddy-2, kill nats-1 ...")
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	lines := make(chan string)
	go func() {
		for typed := bufio.NewScanner(os.Stdin); typed.Scan(); {
			lines <- typed.Text()
		}
	}()
	for {
		select {
		case line := <-lines:
			carryOut(parts, strings.Fields(line))
		case <-interrupted:
			for _, p := range parts {
				_ = p.kill() // or it has ended already
			}
			return
		}
	}
}

// carryOut does what was typed.
func carryOut(parts []*part, words []string) {
	if len(words) == 0 {
		return
	}
	for _, p := range parts {
		if len(words) != 2 || words[1] != p.name {
			continue
		}
		switch words[0] {
		case "kill":
			p.say(p.kill())
			return
		case "start":
			p.say(p.start())
			return
		}
	}
	fmt.Println("type kill or start, and caddy-1 to caddy-3, nats-1 to nats-3 or balancer")
}

const (
	store = "store" // the folder of all that is written

	firstNode  = 8081
	firstNATS  = 4222
	firstRoute = 6222
	servers    = 3
)

// newParts returns the processes that there are to be.
func newParts() (parts []*part) {
	var urls []string
	for i := range servers {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", firstNATS+i))
		parts = append(parts, &part{name: fmt.Sprint("nats-", i+1), args: []string{"nats", strconv.Itoa(i)}})
	}
	for i := range servers {
		name := fmt.Sprint("caddy-", i+1)
		parts = append(parts, &part{
			name: name,
			args: []string{"run", "--config", "Caddyfile"},
			env:  []string{"NODE=" + name, fmt.Sprint("PORT=", firstNode+i), "NATS=" + strings.Join(urls, " "), "XDG_DATA_HOME=" + filepath.Join(store, name)},
		})
	}
	return append(parts, &part{name: "balancer", args: []string{"run", "--adapter", "caddyfile", "--config", "balancer.Caddyfile"}})
}
