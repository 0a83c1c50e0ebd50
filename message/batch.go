package message

import (
	"iter"
	"slices"

	"github.com/caddyws/caddy-websocket/frames"
)

// Batch is messages that leave together, in their order. It is filled by one
// goroutine, and then told by one goroutine at a time. The bytes that it gives out
// may be read by any goroutine and are never changed.
type Batch struct {
	messages []Message
	encoded  []encoding // one for each form that was asked for: few

	whole *Batch // what this is a part of, or nil
	start int    // its first message there
}

// encoding is the messages of a batch in one form.
type encoding struct {
	form  Form
	bytes []byte
	ends  []int // ends[i] is where the first i messages end
}

// NewBatch returns a batch of messages.
func NewBatch(messages ...Message) *Batch { return &Batch{messages: messages} }

// Add adds a message. Once Bytes or Slice was called, nothing may be added.
func (b *Batch) Add(m Message) { b.messages = append(b.messages, m) }

// Len returns the number of messages. A nil batch has none.
func (b *Batch) Len() int {
	if b == nil {
		return 0
	}
	return len(b.messages)
}

// All returns the messages in their order.
func (b *Batch) All() iter.Seq[Message] { return slices.Values(b.messages) }

// Slice returns the messages from i up to but not including j. It shares the
// encoded bytes of b.
func (b *Batch) Slice(i, j int) *Batch {
	whole, start := b, i
	if b.whole != nil {
		whole, start = b.whole, b.start+i
	}
	return &Batch{messages: b.messages[i:j], whole: whole, start: start}
}

// Bytes returns the messages, one after another, in a form.
func (b *Batch) Bytes(f Form) []byte {
	if b.whole == nil {
		return b.in(f).bytes
	}
	e := b.whole.in(f)
	return e.bytes[e.ends[b.start]:e.ends[b.start+len(b.messages)]]
}

// Size returns the length of the longest encoding that was asked for.
func (b *Batch) Size() (most int) {
	for i := range b.encoded {
		most = max(most, len(b.encoded[i].bytes))
	}
	return most
}

// in returns the encoding in a form, which is made when it is first asked for.
func (b *Batch) in(f Form) *encoding {
	if f.Level > 0 {
		f = f.of(len(b.in(f.plain()).bytes))
	}
	for i := range b.encoded {
		if b.encoded[i].form == f {
			return &b.encoded[i]
		}
	}
	b.encoded = append(b.encoded, b.encode(f))
	return &b.encoded[len(b.encoded)-1]
}

func (b *Batch) encode(f Form) encoding {
	e := encoding{form: f, bytes: make([]byte, 0, b.size()), ends: make([]int, 1, 1+len(b.messages))}
	for _, m := range b.messages {
		e.bytes = f.append(e.bytes, m)
		e.ends = append(e.ends, len(e.bytes))
	}
	return e
}

// size is about how many bytes the messages have as text in frames.
func (b *Batch) size() (n int) {
	for _, m := range b.messages {
		n += len(m.Text) + frames.MaxHeaderSize
	}
	return n
}
