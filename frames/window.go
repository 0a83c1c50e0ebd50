package frames

// Window holds the newest plain bytes of the compressed messages in one
// direction, to which the next message may refer: the whole of what context
// takeover keeps between messages. It grows up to its size with what it is given.
// Not safe for concurrent use; nil is a window of nothing.
type Window struct {
	size int
	b    []byte
}

// NewWindow returns an empty window of 2^bits bytes.
func NewWindow(bits int) *Window { return &Window{size: 1 << bits} }

func (w *Window) bytes() []byte {
	if w == nil {
		return nil
	}
	return w.b
}

// last returns the newest bytes, n at most.
func (w *Window) last(n int) []byte { return w.b[max(0, len(w.b)-n):] }

// add takes one more message.
func (w *Window) add(message []byte) {
	if w == nil {
		return
	}
	message = message[max(0, len(message)-w.size):]
	w.b = w.b[:copy(w.b, w.last(w.size-len(message)))]
	w.grow(len(w.b) + len(message))
	w.b = append(w.b, message...)
}

// grow makes room for n bytes in all, for no more than the size.
func (w *Window) grow(n int) {
	if n <= cap(w.b) {
		return
	}
	larger := make([]byte, len(w.b), min(w.size, max(n, 2*cap(w.b))))
	copy(larger, w.b)
	w.b = larger
}
