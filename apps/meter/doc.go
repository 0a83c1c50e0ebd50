// Package meter is the app that folds the readings of machines: their sum, count,
// least, greatest, mean and newest, over all of them or over those of the last minutes,
// with alerts where a fold goes beyond a threshold.
//
//	message -> fields.read -> reading -> Room.Apply -> state.Apply -> aggregate.Readings
//	        -> reply, view, events
//
// A reading is a number, alone or in a JSON object, and the key of the source that it
// comes from. The reply tells the sender its number and how many readings count; the
// view, which is the update for everybody else, tells all folds, the newest reading of
// each key and the alerts that are raised; an event tells of an alert that begins or
// ends.
//
// The arithmetic, the sliding window and the alerts are those of package aggregate. The
// options are in meter.go and alert.go, what may be said in them in validate.go, and what
// they come to in rules.go. The state of a room is in state.go, what it says in view.go,
// keys.go and events.go.
//
// # Reading a message
//
// A message is looked at once, from front to back: **it costs what its bytes cost**,
// however it is nested and whatever else is in it. Nothing of it is turned into maps
// or values but the two fields that are asked for; the rest is only checked to be
// JSON. encoding/json would take memory for the rest too, several times the size of
// a deeply nested message. fields.go has the names of the two fields, reading.go what is
// made of their values, scanner.go the rules of JSON.
//
// # Readings without a key
//
// They are those of one more source, which has no name: it takes one of the places of
// max_keys and is not shown among the keys. Where sources are told apart, by latest or by
// an alert for each key, a reading has to say which one it is of.
//
// # Time
//
// The time of a reading is that of its operation, which the server sets; a client cannot.
// A reading is in the window for at least 59/60 of its length, and for the whole of it at
// most. A room with a window is woken when readings leave it, so that what is shown falls
// and alerts end also when nobody sends anything, at most once a second.
//
// A restart is no event: what has left the window meanwhile leaves at the start. The time
// of a room never runs back. Where the clock is set back, readings stay longer: in a room
// that is in use up to twice as long, in any other until the clock has caught up. Where it
// leaps forward, readings leave as they would have left in that time, and do not come back
// if the clock does.
//
// # When the options change
//
// A reload has the state decoded under the new options. Alerts that these do not have any
// more end, and the others are judged anew. If that makes any alert begin or end the state
// is to be woken at once, so that it is committed and told like any other: in a room that is
// in memory with the reload, in another when it is next loaded. Until that is done the stored
// bytes stay as they were, so that no end of an alert is lost.
//
// # What a reading can lead to
//
// One reading, or one moment in which many leave the window, changes each alert of all
// keys once and each alert of a key once for each key. So the number of alerts is bounded,
// and so is the number of those for each key times max_keys: there are never more than
// 1,032 events at once, each of a bounded length, and as many ends of alerts once after a
// reload.
package meter
