package socket

import "time"

// moment is a point in time, as nanoseconds since epoch: a third of a time.Time,
// of which a connection has many. The zero moment is before all others.
type moment int64

// epoch is long ago, also for tests in virtual time, which begins in the year
// 2000.
var epoch = time.Now().Add(-50 * 365 * 24 * time.Hour)

func now() moment { return moment(time.Since(epoch)) }

func (m moment) add(d time.Duration) moment { return m + moment(d) }

func (m moment) since(earlier moment) time.Duration { return time.Duration(m - earlier) }
