package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// redisServer is a Redis server that a peer uses. It runs where the peer runs, and what
// it uses counts.
type redisServer struct {
	socket string
	cmd    *exec.Cmd
}

const redisProgram = "redis-server"

// startRedis starts one that keeps its data in a folder and syncs each write. It ends
// with the thread that calls this at the latest.
func startRedis(folder string) (*redisServer, error) {
	s := &redisServer{socket: filepath.Join(folder, "redis.sock")}
	s.cmd = exec.Command(redisProgram, "--port", "0", "--unixsocket", s.socket, "--dir", folder, //nolint:gosec,noctx // until stop
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.wait(); err != nil {
		s.stop()
		return nil, fmt.Errorf("starting %s: %w", redisProgram, err)
	}
	return s, nil
}

// wait returns when it accepts connections.
func (s *redisServer) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return waitFor(ctx, func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", s.socket) })
}

// ask answers a command as a server does. It has no Go heap, and no profile.
func (s *redisServer) ask(command string) (usage, error) {
	pid := s.cmd.Process.Pid
	switch command {
	case commandUsage:
		var cpu unix.Timespec
		// The clock of a process's CPU time, as clock_getcpuclockid(3) makes it.
		if err := unix.ClockGettime(int32(^pid<<3|2), &cpu); err != nil {
			return usage{}, fmt.Errorf("reading CPU time of %s: %w", redisProgram, err)
		}
		peak, err := peakSize(pid)
		return usage{CPU: time.Duration(cpu.Nano()), Peak: peak}, err
	case commandMemory:
		rss, err := residentSize(pid)
		return usage{RSS: rss}, err
	}
	return usage{}, nil
}

// stop ends it. Its data is not needed any more.
func (s *redisServer) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
}
