package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/caddyws/caddy-websocket/engines"
)

// The bucket has one record that is no room's: a random text, and when the bucket was
// created. A restored backup has the text of its original, but was created when it was
// restored. The first engine that finds this out writes another text. The stream of the logs
// has such a record, too, so that it is noticed if only one of both was restored.

// markToken is the subject of that record, behind that of the stream.
const markToken = "mark"

// restoreTime is how much times of one creation may differ. The servers of a cluster tell
// when restoring has begun or when it has ended.
const restoreTime = time.Hour

// markRecord is the data of the record.
type markRecord struct {
	Text    string    `json:"mark"`
	Created time.Time `json:"created"`
}

// fits reports whether the mark was made for a stream that was created at a time.
func (m markRecord) fits(created time.Time) bool {
	return m.Text != "" && isSameCreation(m.Created, created)
}

func isSameCreation(a, b time.Time) bool { return a.Sub(b).Abs() <= restoreTime }

// mark returns the text of the stream's mark. It is written if it is not there, or if it is
// that of the stream that this one is a copy of. Several nodes may do that at once. A stream
// that does not answer before ctx ends is an engines.ErrUnavailable.
func (s *stream) mark(ctx context.Context, subject string) (string, error) {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		text, err := s.tryMark(ctx, subject)
		switch {
		case err != nil && ctx.Err() != nil:
			return "", fmt.Errorf("%w: JetStream does not answer: %w", engines.ErrUnavailable, err)
		case text != "" || err != nil:
			return text, err
		}
		s.link.wait(ctx, nil, pause)
	}
}

// tryMark returns the text of the stream's mark, or has tried to write it.
func (s *stream) tryMark(ctx context.Context, subject string) (string, error) {
	last, err := s.get(ctx, subject)
	if err != nil {
		return "", err
	}
	var m markRecord
	if err := json.Unmarshal(last.data, &m); err == nil && m.fits(s.created) {
		return m.Text, nil
	}
	m = markRecord{rand.Text(), s.created}
	data, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	switch _, err := s.put(ctx, subject, last.seq, nats.Header{}, data); {
	case err == nil:
		return m.Text, nil
	case errors.Is(err, engines.ErrRefused): // a stream that takes nothing is not opened
		return "", err
	}
	return "", s.link.ended(ctx) // the record tells what has come of it
}
