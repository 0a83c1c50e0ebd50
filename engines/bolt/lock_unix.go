//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package bolt

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks a file unless another has it locked. The lock ends with the process.
func tryLock(file *os.File) (taken bool, err error) {
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK || err == unix.EINTR {
		return false, nil
	}
	return err == nil, err
}

// unlockDB gives bbolt's lock on an open file back. Even closing would not, while the
// file is mapped into memory.
func unlockDB(file *os.File) { _ = unix.Flock(int(file.Fd()), unix.LOCK_UN) }

// syncFolder has the disk confirm the names in a folder.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
