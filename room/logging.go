package room

import (
	"strings"
	"unicode"

	"go.uber.org/zap"
)

// Log returns a logger that names the connection.
func (m *Member) Log() *zap.Logger { return m.room.shared.Log().With(m.LogFields()...) }

// LogFields name the connection in logs. Names that clients choose are fields,
// which encoders escape, never part of the text.
func (m *Member) LogFields() []zap.Field {
	fields := []zap.Field{
		zap.String("route", m.route.Name),
		zap.String("room", displayName(m.room.key.Room)),
		zap.String("client_ip", m.clientIP),
		zap.String("id", connectionID(m.number)),
	}
	if user := m.User(); user != "" {
		fields = append(fields, zap.String("user", Printable(user)))
	}
	return fields
}

// Printable returns a text that a client has sent as a log may show it: without the
// control characters that encoders of logs do not escape, which are DEL and those
// beyond ASCII. Some terminals obey them.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= unicode.MaxASCII && unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
