package bolt

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// lock is the lock on a file of rooms: the file beside it, locked. It holds the number of
// the process for whoever finds it locked.
type lock struct{ file *os.File }

const (
	// lockRetry is how often a lock is tried that another holds.
	lockRetry = 20 * time.Millisecond

	// otherTimeout is how long another process is waited for: it may just be ending.
	// An engine of this one, which closes, is waited for longer.
	otherTimeout = time.Second
)

// takeLock waits for the lock until ctx ends.
func takeLock(ctx context.Context, path string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	for begin := time.Now(); ; {
		taken, err := tryLock(file)
		if taken {
			note(file)
			return &lock{file}, nil
		}
		if err != nil {
			_ = file.Close()
			return nil, fmt.Errorf("locking %s: %w; its file system may lack locks: use another", path, err)
		}
		pid := holder(file)
		if ctx.Err() != nil || pid != strconv.Itoa(os.Getpid()) && time.Since(begin) > otherTimeout {
			_ = file.Close()
			return nil, fmt.Errorf("another process (%s) holds %s: stop it, or give each a file of its own (engine bolt <path>)", pid, path)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lockRetry):
		}
	}
}

// note writes which process has the lock. That is for people: an error is passed over.
func note(file *os.File) {
	if file.Truncate(0) == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
}

// holder returns which process has the lock, as far as it is known.
func holder(file *os.File) string {
	p, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	pid := strings.TrimSpace(string(p))
	if _, bad := strconv.Atoi(pid); err != nil || bad != nil {
		return "unknown"
	}
	return pid
}

// release gives the lock back. The file stays.
func (l *lock) release() error { return l.file.Close() }
