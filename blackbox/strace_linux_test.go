package blackbox

import (
	"os/exec"
	"testing"
)

// tampering returns a command under which Caddy's system calls fail, or take longer,
// as strace has it: "fdatasync:error=EIO:when=2+3" is the second of every thread and
// each third after it. strace stands aside, so that the process is Caddy's.
func tampering(t *testing.T, how ...string) []string {
	t.Helper()
	strace := need(t, "strace")
	if output, err := exec.Command(strace, "-qq", "-e", "trace=none", "true").CombinedOutput(); err != nil {
		missing(t, "strace may not trace: "+err.Error()+"\n"+string(output))
	}
	command := []string{strace, "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fdatasync,fsync,pwrite64"}
	for _, one := range how {
		command = append(command, "-e", "inject="+one)
	}
	return command
}
