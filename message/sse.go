package message

import (
	"bytes"
	"encoding/base64"
	"strconv"
)

// Comment is a line of an event stream that clients ignore (HTML standard,
// section 9.2.6).
const Comment = ":\n\n"

// EventID is what a client says it has seen when it comes back; empty if that is not more than
// before. The ID of an event has its number, since the state that it belongs to follows it.
func (m Message) EventID() string {
	switch {
	case m.Kind == Published && m.At.Epoch == "", m.Kind == Gap, m.Kind == Event && m.Number == 0:
		return ""
	case m.Kind == Event:
		return m.At.String() + "-" + strconv.Itoa(m.Number)
	}
	return m.At.String()
}

// appendEvent appends a message as a Server-Sent Event (HTML standard, section
// 9.2). The payload cannot forge fields: each of its lines becomes a field data of
// its own. Binary messages are sent as base64 under the name "binary". A
// JSON object names its kind itself.
func appendEvent(dst []byte, f Format, m Message, payload []byte) []byte {
	if id := m.EventID(); id != "" {
		dst = appendField(dst, "id", id)
	}
	switch {
	case !f.isJSON() && (m.Kind == Event || m.Kind == Gap):
		dst = appendField(dst, "event", kindNames[m.Kind])
	case m.Binary:
		dst = appendField(dst, "event", "binary")
		payload = base64.StdEncoding.AppendEncode(nil, payload)
	}
	return append(appendLines(dst, payload), '\n')
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, '\n')
}

// appendLines appends every line of data as a field. CR, LF and both together end
// a line.
func appendLines(dst, data []byte) []byte {
	for {
		end := bytes.IndexAny(data, "\r\n")
		if end < 0 {
			return append(append(append(dst, "data: "...), data...), '\n')
		}
		dst = append(append(append(dst, "data: "...), data[:end]...), '\n')
		if bytes.HasPrefix(data[end:], []byte("\r\n")) {
			end++
		}
		data = data[end+1:]
	}
}
