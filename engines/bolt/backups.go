package bolt

import (
	"io"
	"sync"
)

// backups has the pipes of the backups that read a file.
type backups struct {
	mu sync.Mutex
	// Guarded by mu.
	running map[*io.PipeWriter]struct{}
}

func (b *backups) add(in *io.PipeWriter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running == nil {
		b.running = make(map[*io.PipeWriter]struct{})
	}
	b.running[in] = struct{}{}
}

func (b *backups) remove(in *io.PipeWriter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, in)
}

// any reports whether there are backups.
func (b *backups) any() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.running) > 0
}

// cut ends all backups. Their transactions end at once, whatever takes what they have
// read.
func (b *backups) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for in := range b.running {
		_ = in.CloseWithError(errCutOff)
	}
}
