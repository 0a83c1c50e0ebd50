// Package caddyws is a Caddy module whose handler, the directive websocket,
// turns a route into a live endpoint.
//
// # A message's way
//
//	request -> handler.go  who asks, for which room; the handshake
//	        -> socket      frames in
//	        -> hub         the room: order, commit, members
//	        -> apps/...    what the message means
//	        -> hub, socket one encoded frame to every member
//
// A URL is a room: whoever is on it shares what the route's app keeps there.
//
// # Lifecycle
//
// Connections and rooms belong to a hub, which belongs to the process and not to
// a configuration: it is kept in a pool by the engine that stores its rooms, and
// each configuration that is provisioned takes a reference. **A configuration
// reload, also one that fails, closes no connection and loses no total.** What
// may hold a configuration in memory (the request, its replacer, loggers) is
// left behind at the handshake: ServeHTTP returns once the connection is
// upgraded.
package caddyws
