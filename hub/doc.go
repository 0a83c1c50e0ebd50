// Package hub is all rooms over one engine: which visitors get in, which rooms are in memory, and
// what becomes of all that when the configuration changes or Caddy stops. What happens
// inside a room is package room's.
//
// # Where to look
//
//	hub.go          entering: from a request to a member of a room
//	directory.go    the rooms in memory; keep.go: those in which nobody is any more
//	connection.go   a member with its connection; plain.go: requests without one
//	connections.go  limits of connections; roomlimit.go: of stored rooms
//	engine.go       opening and closing the engine; backup.go: a copy of what it keeps
//	forget.go       stored rooms that nobody uses; sweep.go: those of earlier processes
//	wake.go         stored rooms whose time has come
//	outside.go      events of rooms, told to the log and to whoever watches all rooms
//	reload.go       following a new configuration; drain.go: members that must go;
//	                close.go: the end
//	members.go      listing members; rooms.go: rooms
//	operate.go      what an operator does to rooms
//	trace.go        showing what passes in rooms
//	logging.go      what is written to the log
//
// # Reload and stop
//
// Members hold their route (package route), and a route's configuration can be
// replaced: a reload gives every route that lives the configuration that bears its
// name now ([Hub.Adopt]). This is done when the configuration before has stopped, not
// when the next has started: until then that one may still fail. Rooms take a
// turn in which the new app decodes the state. Members that must go, because of a
// reload or because Caddy stops, are told so one after another, spread over
// [Limits.Drain]; then those that are left are cut.
//
// # Memory
//
// A room is in memory while something refers to it: a member, a request, a turn, or users who
// may come back. With the last reference it leaves; its state is stored. The number of rooms
// with members is limited ([Limits.MaxRooms]). Rooms that only people keep count, too, but give
// way. Two rooms of one key are never in memory at the same time. The hub is closed when its
// last room has left.
//
// # Locks
//
// Hub.mu before all locks of rooms and connections. No app and no engine is called
// with it held.
package hub
