package caddyws

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyws/caddy-websocket/hub"
)

func init() { caddy.RegisterModule(admin{}) }

// admin is what the admin API has of this module, under /websocket/.
type admin struct{}

// CaddyModule returns the Caddy module information.
func (admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.websocket",
		New: func() caddy.Module { return new(admin) },
	}
}

// backupPath is where a copy of all stored rooms is got.
const backupPath = "/websocket/backup"

// Routes returns the routes of the admin API. They are asked for before there is an
// App, which is therefore looked up at each request.
func (admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: backupPath, Handler: caddy.AdminHandlerFunc(serveBackup)}}
}

// serveBackup writes a copy of all stored rooms.
func serveBackup(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("a backup is got by GET")}
	}
	app := started.Load()
	if app == nil {
		return caddy.APIError{HTTPStatus: http.StatusConflict, Err: errors.New("no websocket route is configured")}
	}
	copied := &backupWriter{response: w, control: http.NewResponseController(w), end: time.Now().Add(backupLimit)}
	switch err := app.hub.Backup(copied); {
	case err == nil:
		return copied.control.SetWriteDeadline(time.Time{}) // the connection may serve other requests
	case copied.begun: // all that is left to do is to break off
		logger().Error("backup: " + err.Error())
		panic(http.ErrAbortHandler)
	case errors.Is(err, hub.ErrNoBackup):
		return caddy.APIError{HTTPStatus: http.StatusConflict, Err: err}
	default:
		return caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: err}
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
}

func (b *backupWriter) Write(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		b.response.Header().Set("Content-Type", "application/octet-stream")
	}
	deadline := time.Now().Add(backupPause)
	if deadline.After(b.end) {
		deadline = b.end
	}
	if err := b.control.SetWriteDeadline(deadline); err != nil {
		return 0, err
	}
	return b.response.Write(p)
}

// Interface guards
var (
	_ caddy.Module      = admin{}
	_ caddy.AdminRouter = admin{}
	_ io.Writer         = (*backupWriter)(nil)
)
