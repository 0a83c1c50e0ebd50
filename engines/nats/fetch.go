package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Batches that the trail of a newer one leads to are read from any server with a copy. One that
// does not have the batch, as it lags behind, is no matter: then the leader is asked.

// fetchLimit is how many batches are asked for at once.
const fetchLimit = 16

// errMoved is of a batch that has been removed since.
var errMoved = errors.New("messages have been removed while they were read")

// fetch returns the batch of a log at a place.
func (e *Engine) fetch(ctx context.Context, subject string, at place) (batch, error) {
	s, err := e.fetchDirect(ctx, subject, at.seq)
	if err != nil || s.seq == 0 {
		if s, err = e.logs.at(ctx, subject, at.seq); err != nil {
			return batch{}, err
		}
	}
	b, err := parseBatch(subject, s)
	if err == nil && b.last() != at.last {
		err = errDamaged
	}
	return b, err
}

// statusHeader is what a server says in place of a message.
const statusHeader = "Status"

// fetchDirect asks the nearest server for a message. An error, or sequence 0, says nothing.
func (e *Engine) fetchDirect(ctx context.Context, subject string, seq uint64) (stored, error) {
	m, err := e.link.attempt(ctx, &nats.Msg{Subject: "$JS.API.DIRECT.GET." + e.logs.name, Data: fmt.Appendf(nil, `{"seq":%d}`, seq)}, firstTimeout)
	if err != nil || m.Header.Get(statusHeader) != "" || m.Header.Get(jetstream.SubjectHeader) != subject {
		return stored{}, err
	}
	got, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil || got != seq {
		return stored{}, err
	}
	return stored{seq, m.Header, m.Data}, nil
}

// at asks the stream's leader for the message of a subject at a sequence.
func (s *stream) at(ctx context.Context, subject string, seq uint64) (stored, error) {
	m, err := s.message(ctx, wanted{From: seq})
	switch {
	case err != nil:
		return stored{}, err
	case m.Subject != subject: // or there is none
		return stored{}, errMoved
	}
	h, err := parseHeaderBytes(m.Header)
	return stored{m.Seq, h, m.Data}, err
}

// locate returns the place of the batch that has a position, and of those that come right
// behind it, as far as they are known. The position comes before the newest batch.
func (e *Engine) locate(ctx context.Context, subject string, position uint64, newest *batch) ([]place, error) {
	for b := *newest; ; {
		i, is := b.trail.find(b.number, position)
		if is {
			return append(b.trail[i:len(b.trail):len(b.trail)], place{b.seq, b.last()}), nil
		}
		before := b.number
		var err error
		if b, err = e.fetch(ctx, subject, b.trail[i]); err != nil {
			return nil, err
		}
		if b.number >= before {
			return nil, errDamaged
		}
	}
}

// fill reads entries of a log that come before its newest batch, and those of that. How large
// batches are is seen when they are there: so the first one is fetched alone, and more of them at
// once as they prove to be small.
func (e *Engine) fill(ctx context.Context, subject string, p *page, newest *batch) (err error) {
	var places []place
	size := len(newest.data) // what a batch may have
	for most := 1; !p.isFull(); most = min(4*most, fetchLimit) {
		if len(places) == 0 {
			if places, err = e.locate(ctx, subject, p.next, newest); err != nil {
				return err
			}
		}
		n := min(len(places), most, p.limit-len(p.entries), (maxRead-p.size)/(size+1)+1)
		all, err := e.fetchAll(ctx, subject, places[:n])
		if err != nil {
			return err
		}
		places = places[n:]
		for i := range all {
			size = max(size, len(all[i].data))
			if err := p.addNext(&all[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetchAll returns the batches at some places, which are asked for at the same time.
func (e *Engine) fetchAll(ctx context.Context, subject string, places []place) ([]batch, error) {
	all, errs := make([]batch, len(places)), make([]error, len(places))
	var work sync.WaitGroup
	for i := range places[1:] {
		work.Go(func() { all[i+1], errs[i+1] = e.fetch(ctx, subject, places[i+1]) })
	}
	all[0], errs[0] = e.fetch(ctx, subject, places[0])
	work.Wait()
	return all, errors.Join(errs...)
}
