// Package aggregate is the arithmetic of the apps that fold numbers: running totals,
// and readings with their minimum, maximum and alerts. Values go in, values come
// out. There is no I/O here, no lock, no clock and no logger; a caller keeps the
// state, tells the time, orders the operations and delivers the results.
//
// # The guarantee
//
// **A total is exact**: no float on the way, no rounding, and the same text
// whatever order the numbers came in. So is every fold, but the mean as it is
// shown; thresholds judge the exact one.
//
// # Data flow
//
//	typed text -> ParseNumber -> Number -> Sum.Add -> Sum -> Total.AppendText -> canonical text
//	                             Number, key, time -> Readings.Add -> Change, Summary
//
// [ParseNumber] judges what somebody typed and refuses it with one named error
// a rule, worded for that somebody. A [Number] is an immutable value. A [Sum] is
// the state of a running total; adding gives the next state and leaves the old
// one as it was. Text is the stored form too: [Number.MarshalText] and
// [Number.UnmarshalText] carry a total through a snapshot unchanged.
//
// [Readings] keep what is to be known of many readings: of all, of those in a
// sliding window, or of the newest of each key; for all keys together and for each.
// They do not keep the readings. A [Threshold] says when an alert begins and ends. The
// parts are a window of slices (window.go), the newest readings (latest.go) and the
// alarms (threshold.go); readings.go puts them together.
//
// # Bounds
//
// A typed number has at most 30 digits before the decimal point and 30 after
// it, a total 60 before and 30 after. So 10^30 of the largest numbers fit in a
// total: no room gets there by adding what ParseNumber accepts, and the bound on
// totals exists so that time and memory of every operation stay bounded
// whatever is read back from a store. Bounds are judged on the digits and the
// exponent as written, before anything is computed: 1e1000000000 costs as much
// to refuse as "abc".
//
// # Representation
//
// The arithmetic is [apd]'s, with a context that does not round and reports an
// error if it ever would. apd keeps a coefficient of up to 128 bits inside the
// value and a larger one behind a pointer which copies share. That sharing is
// safe here because of one rule: apd writes only into a Decimal created in the
// same function and not yet returned. Nothing writes to a Number once it has
// been handed out, so that copies, and goroutines, may share it.
//
// [apd]: https://pkg.go.dev/github.com/cockroachdb/apd/v3
package aggregate
