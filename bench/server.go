package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// server is a peer that runs as a process of its own.
type server struct {
	addr     string
	cmd      *exec.Cmd
	commands io.WriteCloser
	answers  *json.Decoder
	out      *os.File
}

// startTimeout is how long a server may take until it accepts connections.
const startTimeout = 15 * time.Second

// startServer starts a peer on cpus, or where this process may run if there are
// none.
func startServer(peer string, secure bool, data string, cpus []int) (*server, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the server has it
	s := &server{addr: addr, out: in, answers: json.NewDecoder(in)}
	s.cmd = exec.Command(program, "serve", "-controlled", "-tls="+strconv.FormatBool(secure), "-data="+data, peer, addr) //nolint:gosec,noctx // itself, until stop
	s.cmd.Stderr, s.cmd.ExtraFiles = os.Stderr, []*os.File{out}
	s.cmd.Env = os.Environ()
	if len(cpus) > 0 {
		s.cmd.Env = append(s.cmd.Env, "GOMAXPROCS="+strconv.Itoa(len(cpus)))
	}
	if s.commands, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := startOn(s.cmd, cpus); err != nil {
		return nil, err
	}
	if err := s.wait(); err != nil {
		s.stop()
		return nil, fmt.Errorf("starting %s: %w", peer, err)
	}
	return s, nil
}

// startOn starts cmd on cpus: a process has the affinity of the thread that
// made it.
func startOn(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	set := cpuSet(cpus)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }() // it was allowed before
	return cmd.Start()
}

// wait returns when the server accepts connections.
func (s *server) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return waitFor(ctx, func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", s.addr) })
}

// waitFor dials until it succeeds.
func waitFor(ctx context.Context, dial func() (net.Conn, error)) error {
	for {
		conn, err := dial()
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ask sends a command and returns the answer.
func (s *server) ask(command string) (usage, error) {
	var u usage
	if _, err := fmt.Fprintln(s.commands, command); err != nil {
		return u, err
	}
	return u, s.answers.Decode(&u)
}

// stopTimeout is how long a server may take to remove what it has stored.
const stopTimeout = 5 * time.Second

// stop ends the process.
func (s *server) stop() {
	_ = s.commands.Close() // tells it
	timer := time.AfterFunc(stopTimeout, func() { _ = s.cmd.Process.Kill() })
	_ = s.cmd.Wait() // it ends either way
	timer.Stop()
	_ = s.out.Close() // the server has ended
}

// freeAddress has a port that is not given to outgoing connections.
func freeAddress() (addr string, err error) {
	for range 100 {
		var l net.Listener
		addr = fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(22_768))
		if l, err = net.Listen("tcp", addr); err == nil { //nolint:noctx // for a moment
			_ = l.Close() // nothing is left to be done
			return addr, nil
		}
	}
	return "", err
}
