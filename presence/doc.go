// Package presence keeps who is in a room, and finds what those in it are to be told of that.
// It has no clock, no lock and no connections: the time is handed in, and a caller does the
// telling.
//
//	Join, Leave -> Roster -> Next (when) -> Expire, Tick (what) -> Joined, Left, News
//
// # People
//
// A [Person] is a user with all its connections, or one connection of nobody known. A user is
// there from its first connection until a time of grace after its last one: so a page that is
// loaded again, or a network that is gone for a moment, tells nothing. A connection of nobody
// known cannot be told from another one that comes back, and has no grace.
//
// # News
//
// Whoever comes is told the state: everybody who is there. Then follow changes: who has come
// and who has left since what was told before, and how many there are. What comes about within
// 100 ms is one change, and what was undone meanwhile is none. A state, or a change, is made
// once for all who are told it.
//
// People are listed as long as they are few. If they are more, all are told a state without
// a list, and then only how many there are, once a second. If they are few again all are told
// a state with a list. So there are two rules for whoever is told:
//
//   - a state takes the place of everything before;
//   - a change adds, takes away and has a new number.
//
// **What somebody has put together by these rules is who is there, once nothing is left to be
// told.** In place of changes that it has not taken yet it may be told a state.
//
// # Nodes
//
// A room may be in several processes. Each publishes a [List] of the people that are there by
// itself, whenever that changes and again every few seconds; people are there as long as one
// list has them. So no node stores anything for another, a list that is lost is made up for by
// the next, and a node that is killed is gone, with its people, when its list is old. A node
// that cannot publish cannot hear either, and keeps the lists that it has. When it can again, it
// tells and asks at once.
//
// A node on which somebody is the first asks the others, and tells its people nothing until
// those have had the time to answer, unless they cannot be reached: so the first state is of
// all nodes. An answer that comes later is a change.
package presence
