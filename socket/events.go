package socket

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyws/caddy-websocket/message"
)

// ServeEvents writes Server-Sent Events (HTML standard, section 9.2) to the response,
// whose header has been written, until the stream has ended and the handler was told
// so: one way, with the same queue and the same limits as a WebSocket. Pings are
// comments, and there is no close frame. The response is not used any more when it
// returns.
func (c *Conn) ServeEvents(w http.ResponseWriter, r *http.Request) {
	l := newResponse(w, r)
	c.mu.Lock()
	c.out.prepend([]byte(message.Comment)) // so that the header leaves at once, whoever buffers it
	c.mu.Unlock()
	c.serve(l, Transport{})
}

// response is the link over the response to a plain request.
type response struct {
	w       http.ResponseWriter
	control *http.ResponseController
	below   *http.ResponseController // of the server's own writer, which may be used while another goroutine writes
	request <-chan struct{}          // closed when the client has gone
	end     chan struct{}            // closed when we end it
	once    sync.Once
}

func newResponse(w http.ResponseWriter, r *http.Request) *response {
	return &response{
		w: w, control: http.NewResponseController(w), below: http.NewResponseController(innermost(w)),
		request: r.Context().Done(), end: make(chan struct{}),
	}
}

// innermost is what all the writers are around.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// read waits for the end: nothing ever arrives.
func (l *response) read() (*buffer, error) {
	select {
	case <-l.request:
		return nil, io.EOF
	case <-l.end:
		return nil, net.ErrClosed
	}
}

func (*response) tryWrite([]byte) (int, error) { return 0, nil }

func (l *response) write(p []byte, progress func(n int)) error {
	for len(p) > 0 {
		n, err := l.w.Write(p[:min(len(p), streamWrite)])
		if err == nil {
			err = l.control.Flush()
		}
		progress(n)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (*response) unsent() int { return -1 }

func (*response) closeWrite() {}

func (l *response) close() { l.once.Do(func() { close(l.end) }) }

// abort also ends a write that is waiting. After close there is none, and what
// ends the response is still to be written.
func (l *response) abort() {
	select {
	case <-l.end:
	default:
		_ = l.below.SetWriteDeadline(time.Now()) // a writer without deadlines ends with its request
		l.close()
	}
}

func (*response) wait() {}
