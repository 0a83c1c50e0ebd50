package frames

// DeflateContext compresses the messages of one connection with context takeover
// (RFC 7692 section 7.1.1): each may refer to those before it, which makes small
// messages that resemble each other several times smaller. What it keeps is their
// newest plain bytes, 8 KiB at most; a pooled compressor is loaded with them when
// something is to be compressed. A standing compressor for each connection would
// take 0.8 to 1.4 MiB and gain a tenth. Not safe for concurrent use.
type DeflateContext struct {
	level, bits int
	window      Window
}

// contextBits bounds what a DeflateContext keeps.
const contextBits = 13

// minContext is the size in bytes below which a message goes plain, and is no
// context for others.
const minContext = 32

// minContextLevel is the lowest level that looks for matches in messages of less
// than 128 bytes: those below forget their context over them.
const minContextLevel = 7

// NewDeflateContext returns a context for a level and a window as those of
// AppendDeflated. Levels below 7 compress as 7.
func NewDeflateContext(level, bits int) *DeflateContext {
	return &DeflateContext{
		level:  max(level, minContextLevel),
		bits:   bits,
		window: Window{size: 1 << min(bits, contextBits)},
	}
}

// AppendDeflated appends the frames of run, which are as AppendMessage makes
// them, with their messages compressed. They must be sent, all of them and in
// this order.
func (c *DeflateContext) AppendDeflated(dst, run []byte) []byte {
	l := loaded{context: c}
	defer l.unload()
	for len(run) > 0 {
		h, n, err := ParseHeader(run)
		if n == 0 || err != nil {
			break // they are ours: never
		}
		end := n + int(h.Length)
		if h.Opcode.IsControl() || h.Length < minContext {
			dst = append(dst, run[:end]...)
		} else {
			dst = appendCompressed(dst, h.Opcode, l.deflate(run[n:end]))
		}
		run = run[end:]
	}
	return dst
}

// loaded is a context with a compressor that knows it.
type loaded struct {
	context  *DeflateContext
	deflater *deflater // nil if none does
	known    int       // bytes that it can refer to
}

// deflate returns the compressed payload, which is valid until the next call.
func (l *loaded) deflate(payload []byte) []byte {
	l.load(len(payload))
	l.known += len(payload)
	l.context.window.add(payload)
	return l.deflater.deflate(payload)
}

// load sees to a compressor that keeps to the agreed window for n more bytes. One
// of a level does while all that it knows fits. Messages of more than half of the
// window get a compressor of that window; they have 128 bytes and more.
func (l *loaded) load(n int) {
	c := l.context
	size := 1 << c.bits
	switch {
	case c.bits == MaxWindowBits:
		if l.deflater == nil {
			l.reload(MaxWindowBits, c.window.b)
		}
	case n > size/2:
		l.reload(c.bits, c.window.b)
		l.known = size // nothing fits behind it
	case l.deflater == nil || l.known+n > size:
		l.reload(MaxWindowBits, c.window.last(size-n))
	}
}

func (l *loaded) reload(bits int, dict []byte) {
	l.unload()
	l.deflater, l.known = getDeflater(l.context.level, bits, dict), len(dict)
}

func (l *loaded) unload() {
	l.deflater.free()
	l.deflater = nil
}
