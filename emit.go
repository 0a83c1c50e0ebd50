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
// not be, and one that has been replaced runs no handler. Without any it is not told.
func emit(news room.News) (told bool) {
	app := started.Load()
	if app == nil {
		return false
	}
	if name := eventPrefix + news.Name; app.events.ShouldEmit(name) {
		app.events.Emit(app.ctx, name, eventData(news))
	}
	return true
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
