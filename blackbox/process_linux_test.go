package blackbox

import (
	"os/exec"
	"syscall"
)

// dieTogether sees to it that a process does not outlive the tests, however they
// end.
func dieTogether(process *exec.Cmd) {
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
