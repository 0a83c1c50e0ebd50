package room

import "go.uber.org/zap"

// Log returns a logger that names the connection.
func (m *Member) Log() *zap.Logger { return m.room.shared.Log().With(m.LogFields()...) }

// LogFields name the connection in logs. Names that clients choose are fields,
// which encoders escape, never part of the text.
func (m *Member) LogFields() []zap.Field {
	return []zap.Field{
		zap.String("route", m.route.Name),
		zap.String("room", displayName(m.room.key.Room)),
		zap.String("client_ip", m.clientIP),
		zap.String("id", connectionID(m.number)),
	}
}
