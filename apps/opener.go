package apps

// Opener is a Stateful App that acts in its rooms of its own accord: it polls a device,
// follows another server, plays against its visitors.
type Opener interface {
	// Open is called when somebody comes to a room, by whatever kind of request, that
	// was not in memory, or was there only to be woken: once, and before anybody is in
	// it. It does not block. As long as r is open the app may use it from goroutines of
	// its own, which end when r.Closed is closed. An open room leaves memory with its
	// last member like any other: Open does not keep it there.
	//
	// When a reload gives an open room another instance of the app, r is closed, and
	// Open of that instance is called.
	Open(r OpenRoom)
}

// OpenRoom is a room that an app uses without a connection. Its methods may be called
// from any goroutine. Apply takes nil for the connection: then nobody is told the reply, or
// that the operation is refused, which is a line of level DEBUG in the log. Neither Apply
// nor Publish waits, so that an app must not call them without end. Once the room is closed
// they do nothing.
type OpenRoom interface {
	Room
	// Closed is closed when the room leaves memory, or another instance of the app has
	// it.
	Closed() <-chan struct{}
}
