// Package apps is the contract between an app and the rooms it lives in.
//
// An app is what happens to the messages of a WebSocket route: echo, a running
// total, a chat, or your own. It is a Caddy guest module in the namespace
// http.websocket.apps that implements [App] and as many of the optional
// abilities below as it needs; it is configured, provisioned and cleaned up
// like any Caddy module, one instance a route.
//
// # Rooms
//
// A URL is a room. Everybody connected to it shares what the app keeps there.
// An app without state passes messages on ([Room.Publish]). An app with state
// ([Stateful]) describes it as a deterministic state machine ([State]): an
// operation goes in by [Room.Apply], the hub puts the operations of a room in
// one order, stores the result, and only then sends out what [State.Apply]
// returned. **What a client was told has been committed.** Beside the reply and the new
// state these are events: what has happened, to those that it concerns ([Event]). A state
// can be woken at a time ([Waker]), and an app can act in a room of its own accord
// ([Opener]).
//
// # Who calls, and when
//
// Calls for one [Conn] (Join, Receive, Leave) come one after another; calls for
// different connections come at the same time, so an app that keeps something
// of its own beyond State and [Conn.SetValue] must guard it. Join comes first,
// Leave last and exactly once.
//
// Connections outlive a reload of the configuration, an App does not: the one of
// the new configuration gets the calls from the next message on, Leave too, and
// State is decoded anew by it. What has to live on stands in State and in
// [Conn.SetValue], not in the App. An app may see late calls after its Cleanup.
//
// Send, Publish and Apply never block and may be called from any goroutine; the
// bytes they are given are copied.
//
// # Errors
//
// What Receive returns decides what happens to the connection: nil or [Refuse]
// keep it, a [*CloseError] closes it with a code of the app's choice, any other
// error and any panic close it with 1011 and are logged. Nothing an app does
// ends Caddy or another connection.
//
// This package imports the standard library only.
package apps
