//go:build !linux

package blackbox

import "os/exec"

func dieTogether(*exec.Cmd) {}
