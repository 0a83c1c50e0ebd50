//go:build !linux

package blackbox

import (
	"os/exec"
	"testing"
)

func dieTogether(*exec.Cmd) {}

// Only Linux tells what the server uses.
func (*server) descriptors(*testing.T) int { return 0 }
func (*server) peak(*testing.T) int        { return 0 }
