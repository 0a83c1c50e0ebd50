package hub

import (
	"errors"
	"io"

	"github.com/caddyws/caddy-websocket/engines"
)

// ErrNoBackup reports that there is nothing that a backup could be made of.
var ErrNoBackup = errors.New("nothing is stored that could be backed up")

// Backup writes a consistent copy of all stored rooms, while the hub goes on. The error
// is that of the engine, or [ErrNoBackup] if the engine is not open or has no copies.
func (h *Hub) Backup(w io.Writer) error {
	if !h.engine.opened.Load() {
		return ErrNoBackup
	}
	backuper, ok := h.store.Engine.(engines.Backuper)
	if !ok {
		return ErrNoBackup
	}
	return backuper.Backup(w)
}
