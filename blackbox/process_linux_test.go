package blackbox

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dieTogether sees to it that a process does not outlive the tests, however they
// end.
func dieTogether(process *exec.Cmd) {
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// proc is a path of the server below /proc.
func (s *server) proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", s.process.Process.Pid, name)
}

// descriptors is how many files and sockets the server has open.
func (s *server) descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir(s.proc("fd"))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// memory is how many KiB the server has in memory, and peak the most it has had.
func (s *server) memory(t *testing.T) int { return s.status(t, "VmRSS") }
func (s *server) peak(t *testing.T) int   { return s.status(t, "VmHWM") }

func (s *server) status(t *testing.T, field string) int {
	t.Helper()
	status, err := os.ReadFile(s.proc("status"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), field+":")
	kib, err := strconv.Atoi(strings.Fields(after + " -")[0])
	if err != nil {
		t.Fatalf("%v in\n%s", err, status)
	}
	return kib
}

// eventually waits until something can be seen of the server.
func (s *server) eventually(t *testing.T, what string, seen func() bool) {
	t.Helper()
	deadline, next := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer next.Stop()
	for !seen() {
		select {
		case <-next.C:
		case <-deadline:
			t.Fatalf("never: %s\n%s", what, s.log)
		}
	}
}
