package hub

import (
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/socket"
)

// endFields tell how a connection ended. They are built only for a line that is
// written: every connection ends.
func endFields(end socket.End) []zap.Field {
	fields := []zap.Field{
		zap.Duration("duration", end.Duration),
		zap.Uint16("code", uint16(end.Code)),
		zap.String("reason", room.Printable(end.Reason)),
		zap.Bool("by_client", end.ByPeer),
		zap.Uint64("messages_in", end.MessagesIn),
		zap.Uint64("messages_out", end.MessagesOut),
		zap.Uint64("bytes_in", end.BytesIn),
		zap.Uint64("bytes_out", end.BytesOut),
	}
	if end.Err != nil {
		fields = append(fields, zap.Error(end.Err))
	}
	return fields
}

// newsFields tell an event. Its text may hold what a client has sent.
func newsFields(n room.News) []zap.Field {
	text := n.Body.Text
	if len(text) == 0 {
		text = n.Body.JSON
	}
	return []zap.Field{
		zap.String("route", n.Route),
		zap.String("room", n.Room),
		zap.String("event", n.Name),
		zap.String("id", n.ID),
		zap.String("text", room.Printable(string(text))),
	}
}
