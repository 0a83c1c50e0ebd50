package caddyws

import (
	"bytes"
	"encoding/json"

	"github.com/caddyws/caddy-websocket/room"
)

// eventPrefix begins the names of Caddy events that tell events of rooms.
const eventPrefix = "websocket."

// emit tells an event of a room to Caddy's events app, whose handlers may take their time.
// That of the configuration that has started last is told: one that is only starting must
// not be, and one that has been replaced runs no more handlers. If that happens meanwhile
// the next one is told, too. Without any the event is not told.
func emit(news room.News) (told bool) {
	for app, before := started.Load(), (*App)(nil); app != before; app, before = started.Load(), app {
		if app.emit(news) {
			return true
		}
	}
	return false
}

// emit reports whether all handlers of the configuration have been told.
func (a *App) emit(news room.News) (told bool) {
	if name := eventPrefix + news.Name; a != nil && a.events.ShouldEmit(name) {
		a.events.Emit(a.ctx, name, eventData(news))
	}
	return a != nil && a.ctx.Err() == nil
}

// eventData returns what handlers are told, in a map of their own: the fields of the
// event's JSON, or its text if it has none, and where it has happened.
func eventData(news room.News) map[string]any {
	var data map[string]any
	d := json.NewDecoder(bytes.NewReader(news.Body.JSON))
	d.UseNumber()
	if err := d.Decode(&data); err != nil || data == nil {
		data = map[string]any{"text": string(news.Body.Text)}
	}
	data["event"], data["id"] = news.Name, news.ID
	data["route"], data["room"] = news.Route, news.Room
	return data
}
