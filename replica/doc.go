// Package replica is the stored side of one room: its state as the engine has it,
// and the commit of operations.
//
//	engine -> Load -> state -> View
//	operations -> Apply each -> Swap the whole state -> a Result each
//
// # Commit
//
// A batch of operations is applied to the state and stored as one value. **A Result
// without an error is of an operation that is stored.** If storing fails, the state
// goes back to the bytes that were stored last, and every operation of the batch
// has an error. An operation that panics is left out and the others are applied
// again, since it may have left half a change behind. A batch whose state is too
// large for the engine is divided until only the operations that exceed the limit
// are refused.
//
// When it is not known whether a batch was stored, the state is loaded again before
// the next batch. Bytes that cannot be read are never overwritten.
//
// A Replica knows no members and no connections, and has no lock: its room calls it
// from one goroutine at a time.
package replica
