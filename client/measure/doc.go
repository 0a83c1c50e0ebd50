// Package measure is the command `caddy websocket bench`: it loads one endpoint and
// tells how fast it answers.
//
//	command.go       flags -> a plan; may it run at all?
//	plan.go          what is to be done, and its bounds
//	host.go          is the server on this machine?
//	descriptors*.go  can this process have so many connections?
//	run.go           connects, loads, waits for answers, closes
//	pace.go          when each message is due; sleep_*.go
//	sender.go        one connection: what it sends
//	receiver.go      one connection: what comes
//	marker.go        what a message is known by when it comes back
//	tally.go         counts and times of all connections
//	report.go        what is told of them
//	progress.go      what is told meanwhile
//
// # What is measured
//
// Each message has a marker in it. A message that comes with the marker of one that its
// connection has sent is its answer; one with the marker of another connection is a
// delivery, as in a chat. Whatever else comes is only counted. So any endpoint can be
// measured whose answers contain the message, or an id of it.
//
// **At a fixed rate the clock of a message starts when it is due**, not when it could be
// sent: while a server, or this machine, is too slow for the schedule, the wait counts.
// (To leave it out is known as coordinated omission.) The schedule goes on whatever
// comes: message k is due k/rate after the beginning. A message that was due and could
// not be sent until the time --wait after the end is counted as not sent. How late
// messages left is told beside, so that it shows when this command, rather than the
// server, was the slow part.
//
// Without a rate each connection sends when its answer has come, as often as it can. Then
// a server that stops for a second is asked nothing in that second: such times are those
// of patient clients, and the report says so.
package measure
