package hub

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/route"
)

// abortTimeout is how long members that were cut are waited for.
const abortTimeout = 250 * time.Millisecond

// ErrUnfinished reports that something goes on after Close, such as an app that does
// not return. The engine is closed after it.
var ErrUnfinished = errors.New("an app or the engine has not finished in time")

// Close lets nobody in any more and sends every member away with the code,
// spread over the time that the limits give. Once what they began is committed
// and they are gone it closes the engine. Those that are left after a time of
// grace, which begins when all have been told, are cut. With the code 1012 the process
// goes on, with other rooms: then it is told outside that the people in rooms have left.
// The error is the engine's or [ErrUnfinished].
func (h *Hub) Close(grace time.Duration, code frames.CloseCode, reason string) error {
	why := route.CloseReason{Code: code, Reason: reason}
	h.close(why)
	for _, r := range h.all() {
		r.LetPublishersGo()
		r.EndPeople(code == frames.ServiceRestart)
	}
	told, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		h.drainAll(why)
		close(told)
		<-h.empty
		h.work.Wait()
		closed <- h.closeEngine()
	}()
	<-told
	select {
	case err := <-closed:
		h.giveUp()
		return err
	case <-time.After(grace):
		return h.abort(closed)
	}
}

// close lets nobody in any more.
func (h *Hub) close(why route.CloseReason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = &why
	close(h.closing)
	for _, r := range h.forgetter.unloaded {
		r.stop()
	}
	h.teller.resume()
	h.announceEmpty()
}

// drainAll sends everybody away.
func (h *Hub) drainAll(why route.CloseReason) {
	var all []leaving
	for _, m := range h.members() {
		all = append(all, leaving{m, why})
	}
	h.drain(all, nil)
}

// abort cuts the members that are left and waits for a moment.
func (h *Hub) abort(closed <-chan error) error {
	h.giveUp()
	left := h.members()
	if len(left) > 0 {
		h.log().Warn("clients did not finish the close handshake in time", zap.Int("connections", len(left)))
	}
	for _, m := range left {
		m.Abort()
	}
	select {
	case err := <-closed:
		return err
	case <-time.After(abortTimeout):
		return ErrUnfinished
	}
}
