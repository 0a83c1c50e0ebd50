package message

import (
	"github.com/caddyws/caddy-websocket/frames"
)

// Subprotocol is the WebSocket subprotocol whose messages from the server are JSON
// objects.
const Subprotocol = "json"

// Format is how a connection is told messages.
type Format uint8

// The formats.
const (
	Text       Format = iota // frames with the text of messages
	JSON                     // frames with JSON objects: the subprotocol json
	Events                   // Server-Sent Events with the text of messages as their data
	JSONEvents               // Server-Sent Events with JSON objects as their data
)

// IsEvents reports whether messages are Server-Sent Events.
func (f Format) IsEvents() bool { return f == Events || f == JSONEvents }

// isJSON reports whether messages are JSON objects.
func (f Format) isJSON() bool { return f == JSON || f == JSONEvents }

// Form is how messages go over a connection. The zero Form is frames with text.
type Form struct {
	Format Format
	Level  int // of compression, from frames.MinLevel to frames.MaxLevel; 0 for none. Events are not compressed.
	Bits   int // of the window that is compressed for, if Level is not 0
}

// Append appends a message, or a control frame, with the payload to dst in the form.
// Event streams have comments for pings and nothing for other control frames.
func (f Form) Append(dst []byte, op frames.Opcode, payload []byte) []byte {
	switch {
	case f.Format.IsEvents() && op == frames.Ping:
		return append(dst, Comment...)
	case f.Format.IsEvents() && op.IsControl():
		return dst
	case f.Format.IsEvents():
		return appendEvent(dst, f.Format, Message{Binary: op == frames.Binary}, payload)
	case f.Level > 0 && !op.IsControl():
		return frames.AppendDeflated(dst, op, payload, f.Level, f.Bits)
	}
	return frames.AppendMessage(dst, op, payload)
}

// append appends m in the form. A message without anything to say in its format
// adds nothing, unless a member has published it.
func (f Form) append(dst []byte, m Message) []byte {
	payload := m.Payload(f.Format)
	switch {
	case len(payload) == 0 && m.Kind == State && f.Format == Events: // the client learns where it stands
		return append(appendField(dst, "id", m.EventID()), '\n')
	case len(payload) == 0 && m.Kind != Published:
		return dst
	case f.Format == JSON:
		return f.Append(dst, frames.Text, payload)
	case f.Format.IsEvents():
		m.Binary = m.Binary && !f.Format.isJSON() // an object is text
		return appendEvent(dst, f.Format, m, payload)
	}
	return f.Append(dst, m.opcode(), payload)
}

func (m Message) opcode() frames.Opcode {
	if m.Binary {
		return frames.Binary
	}
	return frames.Text
}

// plain is the form without compression.
func (f Form) plain() Form { return Form{Format: f.Format} }

// of returns the form in which so many bytes are compressed: few are not, and what
// fits into a window is the same for it as for the largest.
func (f Form) of(bytes int) Form {
	switch {
	case f.Level == 0 || bytes < frames.MinDeflate:
		return f.plain()
	case bytes <= 1<<f.Bits:
		f.Bits = frames.MaxWindowBits
	}
	return f
}
