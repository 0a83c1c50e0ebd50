// Package tally is what is counted of connections, rooms and engines, for the metrics
// and for the views of an operator.
//
// **Counting costs nothing that could be measured per message.** What passes over a
// connection is counted in the connection, under a lock that is held anyway, and
// gathered when somebody asks; see [Traffic]. What happens once for a connection, such
// as its close code, is added to the tally of its route.
//
// Everything is kept by names that stand in a configuration: no client can make a new
// one. A tally belongs to the process. It goes on when a configuration is replaced.
//
// This package imports the standard library only.
package tally
