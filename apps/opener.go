package apps

// Opener is a Stateful App that acts in its rooms of its own accord: it polls a device,
// follows another server, plays against its visitors.
type Opener interface {
	// Open is called when a room has come into memory, once each time, and before
	// anybody is in it. It does not block. As long as r is open the app may use it
	// from goroutines of its own, which end when r.Closed is closed. An open room
	// leaves memory with its last member like any other: Open does not keep it there.
	Open(r OpenRoom)
}

// OpenRoom is a room that an app uses without a connection. Its methods may be called
// from any goroutine. Apply takes nil for the connection: then nobody is told the reply.
// Once the room is closed Publish and Apply do nothing.
type OpenRoom interface {
	Room
	// Closed is closed when the room leaves memory.
	Closed() <-chan struct{}
}
