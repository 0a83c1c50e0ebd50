package room

import (
	"errors"

	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/tally"
)

// count counts the operations of a batch.
func (r *Room) count(results []replica.Result) {
	var by tally.Results
	for i := range results {
		by[resultOf(results[i])]++
	}
	r.tally.Batch(&by)
}

// resultOf is as what an operation is counted.
func resultOf(res replica.Result) tally.Result {
	switch {
	case res.Repeat:
		return tally.Repeated
	case res.Panicked:
		return tally.Failed
	case res.Err != nil:
		return resultOfRefusal(res.Err)
	}
	return tally.Stored
}

// resultsByCode are those of the errors that are not by the app.
var resultsByCode = map[replica.Code]tally.Result{
	CodeBusy:                   tally.Busy,
	CodeReadOnly:               tally.ReadOnly,
	replica.CodeUnavailable:    tally.Unavailable,
	replica.CodeUnknown:        tally.Unknown,
	replica.CodeTooBig:         tally.Full,
	replica.CodeTooManyRooms:   tally.Full,
	replica.CodeFailed:         tally.Failed,
	replica.CodeBadID:          tally.BadID,
	replica.CodeExpected:       tally.BadID,
	replica.CodeUnknownClient:  tally.BadID,
	replica.CodeReused:         tally.BadID,
	replica.CodeMayHaveCounted: tally.BadID,
}

// resultOfRefusal is as what an operation is counted that was refused.
func resultOfRefusal(err error) tally.Result {
	e, ok := errors.AsType[*replica.Error](err)
	if !ok {
		return tally.Refused
	}
	if r, ok := resultsByCode[e.Code]; ok {
		return r
	}
	return tally.Refused
}
