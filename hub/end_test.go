package hub_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/echo"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/socket"
)

// slowCore is a log that counts how often fields were prepared for it and whose
// lines take until pass is closed.
type slowCore struct {
	zapcore.LevelEnabler
	prepared *atomic.Int64
	written  *atomic.Int64
	pass     chan struct{}
}

func newSlowCore(level zapcore.Level) *slowCore {
	return &slowCore{level, new(atomic.Int64), new(atomic.Int64), make(chan struct{})}
}

func (c *slowCore) With([]zap.Field) zapcore.Core { c.prepared.Add(1); return c }

func (c *slowCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

func (c *slowCore) Write(zapcore.Entry, []zap.Field) error {
	<-c.pass
	c.written.Add(1)
	return nil
}

func (*slowCore) Sync() error { return nil }

// visit lets a member in and out again, without a socket.
func visit(t *testing.T, app apps.App, core *slowCore) *hub.Hub {
	t.Helper()
	log := zap.New(core)
	h := hub.New(hubtest.Opens(new(memory.Engine)), hub.Limits{}, func() *zap.Logger { return log })
	m, err := h.Join(context.Background(), hubtest.Route(app), room.Visitor{Room: "room"})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		m.Closed(socket.End{Code: frames.NormalClosure})
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(hubtest.Patience):
		t.Error("the loop would wait for the member's end")
	}
	return h
}

func checkClosed(t *testing.T, h *hub.Hub) {
	t.Helper()
	if err := h.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
		t.Error(err)
	}
}

// A restart ends everybody: what nobody reads is not prepared.
func TestAnEndThatIsNotLoggedPreparesNoLine(t *testing.T) {
	core := newSlowCore(zap.ErrorLevel)
	close(core.pass)
	checkClosed(t, visit(t, new(echo.App), core))
	if n := core.prepared.Load(); n != 0 {
		t.Errorf("fields were prepared %d times", n)
	}
}

// A log that waits for its disk holds up nobody's connection.
func TestAnEndDoesNotWaitForTheLog(t *testing.T) {
	core := newSlowCore(zap.InfoLevel)
	h := visit(t, new(echo.App), core)
	close(core.pass)
	checkClosed(t, h)
	if n := core.written.Load(); n != 1 {
		t.Errorf("%d lines were written", n)
	}
}

// leavingApp takes its time in Leave.
type leavingApp struct {
	echo.App
	pass chan struct{}
}

func (a *leavingApp) Leave(apps.Conn) { <-a.pass }

// Nor does an app, whose Leave may take its time.
func TestAnEndDoesNotWaitForTheApp(t *testing.T) {
	app := &leavingApp{pass: make(chan struct{})}
	core := newSlowCore(zap.ErrorLevel)
	h := visit(t, app, core)
	close(app.pass)
	checkClosed(t, h)
}
