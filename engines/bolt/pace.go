package bolt

import (
	"context"
	"errors"
	"time"
)

// pace is how fast something is done, by which it is known early if there is too little
// time.
type pace struct {
	over  func() error
	begun time.Time
	limit time.Duration
	size  int64
}

// newPace begins something of a certain size that has to be done before ctx, which has
// a deadline, ends.
func newPace(ctx context.Context, size int64) *pace {
	begun := time.Now()
	deadline, _ := ctx.Deadline()
	return &pace{over: ctx.Err, begun: begun, limit: deadline.Sub(begun), size: size}
}

var errSlow = errors.New("it would take too long: what is free in it is used for rooms to come")

// reached tells how much is done. After a fifth of the time it gives up what would not
// be done within all of it; before that, too little is known.
func (p *pace) reached(done int64) error {
	if err := p.over(); err != nil {
		return err
	}
	spent := time.Since(p.begun)
	if spent >= p.limit/5 && float64(spent)*float64(p.size) > float64(p.limit)*float64(done) {
		return errSlow
	}
	return nil
}
