package blackbox

import (
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// What strace makes of the disk: "fdatasync:error=EIO:when=2+3" is an error at the
// second call of every thread and each third after it.

// strace returns a command that has system calls fail, or take longer.
func strace(t *testing.T, how ...string) []string {
	t.Helper()
	program := need(t, "strace")
	if output, err := exec.Command(program, "-qq", "-e", "trace=none", "true").CombinedOutput(); err != nil {
		missing(t, "strace may not trace: "+err.Error()+"\n"+string(output))
	}
	command := []string{program, "-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync,pwrite64"}
	for _, one := range how {
		command = append(command, "-e", "inject="+one)
	}
	return command
}

// failing returns a command under which Caddy can be started with such a disk. The
// process is Caddy's.
func failing(t *testing.T, how ...string) []string {
	t.Helper()
	return append(strace(t, how...), "-D", "-qq", "--seccomp-bpf")
}

// spoil gives the running Caddy such a disk. mend gives it back a good one.
func (s *server) spoil(t *testing.T, how ...string) (mend func()) {
	t.Helper()
	command := append(strace(t, how...), "-p", strconv.Itoa(s.process.Process.Pid))
	tracer, said := exec.Command(command[0], command[1:]...), &lines{changed: make(chan struct{})}
	tracer.Stderr = said
	dieTogether(tracer)
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- tracer.Wait()
		said.Write([]byte("strace has ended\n"))
	}()
	said.wait(t, "attached", "strace has ended")
	if !said.has("attached") {
		missing(t, "strace may not trace a process that is running: "+said.String())
	}
	return func() {
		t.Helper()
		if err := tracer.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		<-ended
	}
}
