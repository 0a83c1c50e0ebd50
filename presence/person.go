package presence

// Person is somebody who may be in a room. Exactly one of the fields is set.
type Person struct {
	User string // the authenticated user
	ID   string // names the connection of somebody who is not known
}

// returns reports whether somebody who comes back can be recognised.
func (p Person) returns() bool { return p.User != "" }

// size is about how many bytes a list has for a person, with its number of connections.
func (p Person) size() int { return len(p.User) + len(p.ID) + entryOverhead }

const entryOverhead = 32
