//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package bolt

import (
	"errors"
	"os"
)

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func unlockDB(*os.File) {}

func syncFolder(string) error { return nil }
