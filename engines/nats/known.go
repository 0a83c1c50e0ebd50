package nats

import "sync"

// known is the newest batches of the logs that were used last, without their data. They may
// be out of date: then a batch that is to be stored behind one is not.
type known struct {
	mu   sync.Mutex
	logs map[string]batch // by subject; guarded by mu
}

// maxKnown bounds how many there are, at about a KiB each.
const maxKnown = 8192

// note notes a batch, unless a newer one is known.
func (k *known) note(subject string, b batch) {
	b.data = nil
	k.mu.Lock()
	defer k.mu.Unlock()
	old, is := k.logs[subject]
	switch {
	case is && old.seq >= b.seq:
		return
	case k.logs == nil:
		k.logs = make(map[string]batch)
	case !is && len(k.logs) >= maxKnown:
		k.dropAny()
	}
	k.logs[subject] = b
}

// dropAny makes room. The map is locked.
func (k *known) dropAny() {
	for subject := range k.logs {
		delete(k.logs, subject)
		return
	}
}

// newest returns the newest batch of a log that is known. Its sequence is 0 if none is.
func (k *known) newest(subject string) batch {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.logs[subject]
}

// reset forgets all logs.
func (k *known) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.logs = nil
}

// forget forgets a log.
func (k *known) forget(subject string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.logs, subject)
}
