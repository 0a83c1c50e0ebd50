// Power starts Caddy with the Caddyfile of this folder, and eight machines that tell it
// how much power they take. Press-4 takes more and more, until it is told to shut down.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyws/caddy-websocket"
)

const server = "localhost:8080"

func main() {
	for i := range 7 {
		m := newMachine(fmt.Sprintf("press-%d", i+1))
		m.greedy = i == 3
		go m.run(context.Background())
	}
	startBoard()
	os.Args = []string{"caddy", "run", "--config", "Caddyfile"}
	caddycmd.Main()
}

// startBoard starts the eighth machine, which is a program in Python as it might run on a
// small board. It ends with this process.
func startBoard() {
	board := exec.Command("python3", "board.py", server)
	board.Stderr = os.Stderr
	if _, err := board.StdinPipe(); err != nil { // it reads until this process is gone
		fmt.Fprintln(os.Stderr, "press-8:", err)
		return
	}
	if err := board.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "without press-8:", err)
	}
}
