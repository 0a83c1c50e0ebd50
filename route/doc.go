// Package route is one websocket directive as its connections know it.
//
// Connections, rooms and stored rooms hold a [Route] longer than the configuration
// that made it lives. When a configuration follows another, every [Route] of the
// earlier one that is still held becomes what the new one says under its name, or ends
// with a reason that its connections are closed with:
//
//	Routes before and now -> Matching.Successor -> Route.Follow or Route.End
//
// Named routes are found by their name. Others are told apart by how they are
// configured; in doubt a route ends, since the wrong settings would be worse than
// clients that come back.
//
// A Route counts its connections by address, and goes on counting through
// reloads. All of it may be used concurrently, but for [Route.Follow] and [Matching],
// which belong to the one goroutine that reloads.
package route
