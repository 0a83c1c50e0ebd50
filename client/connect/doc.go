// Package connect is the command `caddy websocket connect`: a conversation with one
// endpoint, for people at a terminal and for pipes.
//
//	command.go   flags, what the terminal allows -> a session
//	session.go   one connection: sends, receives, pings, closes
//	lines.go     a pipe: each line is a message, or all of it is one
//	editor.go    a terminal: lines are edited below what comes
//	forms.go     how a message is printed: raw, for a terminal, as JSON
//	values.go    values of flags: a size, a time that may be "forever"
//
// # What is sent, and when it ends
//
// A session ends when the server closes, when the connection is cut, or when it has
// nothing more to send: at a terminal at ^D or ^C, from a pipe once the pipe has ended
// **and nothing has come for the time --wait**. Then it sends a close frame with 1000 and
// goes on printing until the server's close frame: a server that finishes what it owes
// before it closes, as this module does, has all its answers printed even with --wait 0.
// A second ^C cuts.
//
// # What is printed
//
// Into a pipe or a file a text message is printed as it came, with a line end, and a
// binary one as it came, without. To a terminal nothing is printed that a terminal would
// obey: control characters are escaped, binary messages are hexadecimal, long ones are
// cut and say so. Everything else that is said goes to the standard error.
package connect
