package bolt

import (
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks a file unless another has it locked. What is locked is a byte far
// behind its end, so that others can read the file.
func tryLock(file *os.File) (taken bool, err error) {
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err = windows.LockFileEx(windows.Handle(file.Fd()), how, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		return false, nil
	}
	return err == nil, err
}

// unlockDB does nothing: the lock ends when the file is closed.
func unlockDB(*os.File) {}

// syncFolder does nothing: folders cannot be synced.
func syncFolder(string) error { return nil }
