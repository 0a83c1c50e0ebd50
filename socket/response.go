package socket

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// response is the link over the response to a plain request. Nothing ever arrives
// on it.
type response struct {
	w       http.ResponseWriter
	control *http.ResponseController
	below   *http.ResponseController // of the server's own writer, which may be used while another goroutine writes
	request <-chan struct{}          // closed when the client has gone
	end     chan struct{}            // closed when the server ends the response
	once    sync.Once
}

func newResponse(w http.ResponseWriter, r *http.Request) *response {
	return &response{
		w: w, control: http.NewResponseController(w), below: http.NewResponseController(innermost(w)),
		request: r.Context().Done(), end: make(chan struct{}),
	}
}

// innermost returns the writer that all others are wrapped around.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// read waits for the end.
func (l *response) read() (*buffer, error) {
	select {
	case <-l.request:
		return nil, io.EOF
	case <-l.end:
		return nil, net.ErrClosed
	}
}

func (*response) tryWrite([]byte) (int, error) { return 0, nil }

func (l *response) write(p []byte) (int, error) {
	n, err := l.w.Write(p[:min(len(p), streamWrite)])
	if err == nil {
		err = l.control.Flush()
	}
	return n, err
}

func (*response) received() {}

func (*response) sendBuffered() int { return -1 }

func (*response) hasRoom() bool { return false }

func (*response) closeWrite() {}

func (l *response) close() { l.once.Do(func() { close(l.end) }) }

// abort also ends a write that waits. After close no write does, and the end of
// the response is still to be written.
func (l *response) abort() {
	select {
	case <-l.end:
	default:
		_ = l.below.SetWriteDeadline(time.Now()) // a writer without deadlines ends with its request
		l.close()
	}
}

func (*response) wait() {}
