// Package bolt is the engine that keeps rooms in one file, by the embedded database
// bbolt.
//
// # A Swap's way
//
// Swap puts a request into a queue (queue.go). One goroutine, the committer
// (commit.go), takes all that wait there, does them in one transaction
// (tables.go), has the disk confirm it, and answers them. There is no timer: an
// idle disk commits a request at once, and while a busy one syncs, the next
// transaction gathers. Readers (read.go) wait while a transaction is being
// committed, because bbolt would show it to them before the disk has it.
//
// **What is shown or acknowledged is on disk.**
//
// # The file
//
// Five buckets: rooms (key to value, see value.go), used (the index by last use:
// hour and key), due (that by wake: millisecond and key), logs (key to the log of the
// room, see logtable.go) and about (format, number of rooms, mark). The sequence of the
// bucket rooms is the newest revision; it stays when rooms are deleted. A key is
// the app's name, NUL, the room's.
//
// An entry of a log is a key of its own, so that appending to a log writes the entries and
// the last pages of the log, however long it is. What is appended is committed with all else
// that waits. Logs are trimmed a thousand entries at a time.
//
// A value and an entry have a checksum each, and the file's length is compared with what its meta
// pages say, since bbolt itself would take much damage for data. What is damaged
// is refused and never overwritten. bbolt panics on some damage, and a page that
// the disk cannot read is a fault of memory; both are errors here (panics.go), and a
// request that hits them does not take the others of its transaction with it.
//
// The list of free pages is stored with each transaction, so that opening takes
// the same time for a file of any size. A file of which more than half is free
// is compacted when it is opened (compact.go), unless that would take more than five
// seconds: then it stays as large as it is, and new rooms use what is free.
//
// # The lock
//
// The file that is locked (lock.go) stands beside the other and is never renamed
// or removed: a lock on the file itself would be worth nothing to a process that
// waits for it while compaction puts another file in its place.
//
// # After a failed commit
//
// When the disk reports that it could not write, the operating system may have the
// new bytes in memory, the old ones on disk, and no intention to write again. So
// nothing is read or written any more until the file has been opened anew, and
// every time it is opened both meta pages are first written back as they are
// read, and synced (meta.go): they name the newest transaction, and all its other
// pages were synced before they did. Without that a later transaction could
// reuse pages that the old meta page, which the disk may still have, refers to.
// Then it is known whether the failed transaction is in the file, and its requests
// are answered accordingly. Only if the file cannot be opened their outcome is
// unknown; later requests are refused, and each tries to open it again.
package bolt
