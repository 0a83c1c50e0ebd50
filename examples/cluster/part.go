package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// part is a process of the cluster: this program, with other arguments.
type part struct {
	name string
	args []string
	env  []string

	process *exec.Cmd // nil while it does not run
}

var (
	errRuns  = errors.New("it runs already")
	errIsOut = errors.New("it does not run")
)

// start starts the process. What it says goes to a file.
func (p *part) start() error {
	if p.process != nil {
		return errRuns
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(store, 0o750); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(store, p.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()       // the process has its own
	process := exec.Command(self, p.args...) //nolint:noctx // until kill
	process.Env = append(os.Environ(), p.env...)
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		return err
	}
	p.process = process
	return nil
}

// kill ends the process at once, as a power cut would.
func (p *part) kill() error {
	if p.process == nil {
		return errIsOut
	}
	process := p.process
	p.process = nil
	err := process.Process.Kill()
	_ = process.Wait() // which tells that it was killed
	return err
}

// say tells what has come of a command.
func (p *part) say(err error) {
	switch {
	case err != nil:
		fmt.Println(p.name+":", err)
	case p.process == nil:
		fmt.Println(p.name, "was killed")
	default:
		fmt.Println(p.name, "was started")
	}
}
