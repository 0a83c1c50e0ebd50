package caddyws

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/caddyws/caddy-websocket/hub"
)

// backupPath is where a copy of all stored rooms is got.
const backupPath = "/websocket/backup"

// getBackup writes a copy of all stored rooms.
func getBackup(app *App, w http.ResponseWriter, _ *http.Request) error {
	copied := &backupWriter{response: w, control: http.NewResponseController(w), end: time.Now().Add(backupLimit)}
	defer adminBackups.enter(copied.breakOff)()
	switch err := app.hub.Backup(copied); {
	case err == nil:
		return copied.control.SetWriteDeadline(time.Time{}) // the connection may serve other requests
	case copied.begun: // all that is left to do is to break off
		logger().Error("backup: " + err.Error())
		panic(http.ErrAbortHandler)
	case errors.Is(err, hub.ErrNoBackup):
		return apiError(http.StatusConflict, err)
	default:
		return apiError(http.StatusInternalServerError, err)
	}
}

// Bounds of a backup, for as long as which the engine keeps what has been replaced
// meanwhile.
const (
	backupPause = 30 * time.Second // in which a client takes nothing
	backupLimit = time.Hour        // in all
)

// backupWriter writes a backup to a client.
type backupWriter struct {
	response http.ResponseWriter
	control  *http.ResponseController
	begun    bool
	end      time.Time // of the time for it

	mu    sync.Mutex
	ended bool // guarded by mu
}

// errStopping breaks off a backup.
var errStopping = errors.New("the server stops")

// breakOff ends the backup, also while it waits for its client.
func (b *backupWriter) breakOff() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	_ = b.control.SetWriteDeadline(time.Now()) // without a deadline the client has to end it
}

// extend gives the client time to take what is written next.
func (b *backupWriter) extend() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return errStopping
	}
	deadline := time.Now().Add(backupPause)
	if deadline.After(b.end) {
		deadline = b.end
	}
	return b.control.SetWriteDeadline(deadline)
}

func (b *backupWriter) Write(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		b.response.Header().Set("Content-Type", "application/octet-stream")
	}
	if err := b.extend(); err != nil {
		return 0, err
	}
	return b.response.Write(p)
}

// Interface guards
var _ io.Writer = (*backupWriter)(nil)
