// Command power starts Caddy with the Caddyfile of this folder, and eight machines that tell it
// how much power they take. Press-4 takes more and more, until it is told to shut down.
//
// With an address, such as example.com:8080, it starts the machines only: they tell the
// server there.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyws/caddy-websocket"
)

func main() {
	server := "localhost:8080"
	if len(os.Args) > 1 {
		server = os.Args[1]
	}
	startMachines(server)
	if len(os.Args) > 1 {
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt)
		<-interrupted
		return
	}
	os.Args = []string{"caddy", "run", "--config", "Caddyfile"}
	caddycmd.Main()
}

func startMachines(server string) {
	for i := range 7 {
		m := newMachine(fmt.Sprintf("press-%d", i+1), server)
		m.greedy = i == 3
		go m.run(context.Background())
	}
	go runBoard(server)
}

// runBoard runs the eighth machine: a program in Python as it might run on a small board.
// It ends with this process, when its input does.
func runBoard(server string) {
	board := exec.CommandContext(context.Background(), "python3", "board.py", server)
	board.Stderr = os.Stderr
	input, err := board.StdinPipe()
	if err == nil {
		err = board.Run()
		_ = input.Close()
	}
	fmt.Fprintln(os.Stderr, "press-8 has ended:", err)
}
