// Package caddyws is a Caddy module whose handler, the directive websocket, makes a
// route a live endpoint.
//
// # A message's way
//
//	request -> handler.go  rights, origin, room, transport
//	        -> handshake   the opening handshake
//	        -> socket      frames in, whole messages out
//	        -> apps/...    what the message means
//	        -> hub         its place in the order of the room
//	        -> replica     applied and stored, if the room has state
//	        -> message     encoded once for each form
//	        -> socket      to every member
//
// CONTRIBUTING.md walks it file by file.
//
// A URL is a room: everybody on it shares what the route's app keeps there. Plain
// requests meet the same room: plain.go has GET and POST, events.go the stream of
// events. Of media types that a request likes equally it gets the one that it names
// first, so that the defaults of HTTP libraries get JSON.
//
// # Lifecycle
//
// Connections and rooms belong to a hub, which belongs to the process and not to a
// configuration: it is kept in a pool by the engine that stores its rooms, and each
// configuration that is provisioned takes a reference. **A configuration reload, also
// one that fails, loses no total and closes no connection** whose route is still there.
// app.go hands over, and package hub finds the routes. It does so when the
// configuration before stops, not when the next has started, which may still fail
// after that.
//
// The request, its replacer and loggers may hold a configuration in memory. They are
// left behind at the handshake: over HTTP/1.1 ServeHTTP returns once the connection is
// upgraded. Streams of HTTP/2 and 3 and of events end with their handler, so it stays.
//
// When Caddy stops, connections that have not ended 0.4 s after the drain are cut:
// Caddy's HTTP/2 server then takes another second, and systemd waits for 5 in all.
package caddyws
