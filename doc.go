// Package caddyws is a Caddy module whose handler, the directive websocket,
// turns a route into a live endpoint.
//
// # A message's way
//
//	request -> handler.go  who asks, for which room, over which transport
//	        -> handshake   the opening handshake
//	        -> socket      frames in, whole messages out
//	        -> hub         the room: order, commit, members
//	        -> apps/...    what the message means
//	        -> hub, socket one encoded frame to every member
//
// A URL is a room: whoever is on it shares what the route's app keeps there. Plain
// requests meet the same room: plain.go has GET and POST, events.go the stream of
// events. Of media types that a request likes equally it gets the one it names
// first, where the design said text: so the defaults of HTTP libraries get JSON.
//
// # Lifecycle
//
// Connections and rooms belong to a hub, which belongs to the process and not to
// a configuration: it is kept in a pool by the engine that stores its rooms, and
// each configuration that is provisioned takes a reference. **A configuration
// reload, also one that fails, loses no total and closes no connection** whose
// route is still there; app.go hands over, package hub finds the routes. It does
// so when the configuration before stops and not, as designed, when the next has
// started, which may still fail after that. What may hold a configuration in
// memory (the request, its replacer, loggers) is left behind at the handshake:
// over HTTP/1.1 ServeHTTP returns once the connection is upgraded. Streams of
// HTTP/2 and 3 and of events end with their handler, so it stays.
//
// When Caddy stops, who has not left 0.4 s after the drain is cut, where the design
// said 1 s: Caddy's HTTP/2 server takes another second, and systemd waits for 5.
package caddyws
