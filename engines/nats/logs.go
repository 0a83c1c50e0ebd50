package nats

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddyws/caddy-websocket/engines"
)

// What the stream of the logs is named by.
const (
	logStreamPrefix  = "LOG_"
	logSubjectPrefix = "$LOG."
)

// logs is the stream that the messages of rooms are kept in, beside the bucket. A log has a
// subject, that of its room with its epoch as one more token: so a life of a room never has
// what another one has left behind.
type logs struct {
	*stream
	prefix string // of its subjects
	rooms  string // of the subjects of rooms
}

// logSettings returns what a new stream of logs is like.
func logSettings(name, prefix string, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              logStreamPrefix + name,
		Description:       "messages in rooms of caddy-websocket",
		Subjects:          []string{logSubjectPrefix + name + ".>"},
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		Retention:         jetstream.LimitsPolicy,
		MaxMsgsPerSubject: -1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgSize:        -1,
		Discard:           jetstream.DiscardNew,
		DenyDelete:        true,
		AllowDirect:       true,
		RePublish: &jetstream.RePublish{
			Source:      logSubjectPrefix + name + "." + roomsToken + "*.*.*",
			Destination: prefix + "." + appendedToken + ".{{wildcard(1)}}.{{wildcard(2)}}",
			HeadersOnly: true,
		},
	}
}

// openLogs finds the stream of the logs, or creates it, as openBucket does.
func openLogs(ctx context.Context, l *link, name, prefix string, replicas int) (*logs, error) {
	s, err := openStream(ctx, l, "the stream "+logStreamPrefix+name, logSettings(name, prefix, replicas), logFaults)
	if err != nil {
		return nil, err
	}
	subjects := logSubjectPrefix + name + "."
	return &logs{s, subjects, subjects + roomsToken}, nil
}

// logFaults returns why messages cannot be kept in a stream.
func logFaults(c, want jetstream.StreamConfig) error {
	return join(append(sharedFaults(c, want),
		fault{c.MaxMsgsPerSubject > 0, "it has a maximum of messages per subject"},
		fault{c.DenyPurge, "it denies purging (deny_purge), without which no message can go"},
		fault{!c.AllowDirect, "it does not allow direct gets (allow_direct)"},
	))
}

// maxEpoch bounds an epoch, in bytes.
const maxEpoch = 64

var errEpoch = errors.New("an epoch has 1 to 64 bytes")

// subject returns the subject of a log.
func (l *logs) subject(key engines.Key, epoch string) (string, error) {
	if epoch == "" || len(epoch) > maxEpoch {
		return "", errEpoch
	}
	subject, err := subjectOf(l.rooms, key)
	return subject + "." + epochToken(epoch), err
}

// epochToken returns the token that an epoch is in a subject.
func epochToken(epoch string) string { return string(appendToken(nil, epoch)) }

// newest asks the stream's leader for the newest batch of a log; its sequence is 0 if there is
// none.
func (l *logs) newest(ctx context.Context, subject string) (batch, error) {
	s, err := l.get(ctx, subject)
	if err != nil || s.seq == 0 {
		return batch{}, err
	}
	return parseBatch(subject, s)
}

// first asks the stream's leader for the first position that a log has; 0 if it has none.
func (l *logs) first(ctx context.Context, subject string) (uint64, error) {
	m, err := l.message(ctx, wanted{From: 1, Next: subject})
	if err != nil || m.Seq == 0 {
		return 0, err
	}
	h, err := parseHeaderBytes(m.Header)
	if err != nil {
		return 0, err
	}
	b, err := parseBatch(subject, stored{m.Seq, h, m.Data})
	return b.first, err
}

// purge removes what a subject has before a sequence, or all of it if that is 0.
func (l *logs) purge(ctx context.Context, subject string, before uint64) error {
	request, err := json.Marshal(struct {
		Filter string `json:"filter"`
		Before uint64 `json:"seq,omitempty"`
	}{subject, before})
	if err != nil {
		return err
	}
	return l.query(ctx, "$JS.API.STREAM.PURGE."+l.name, request, new(failed))
}

// left returns the subject of a log that a room has; empty if it has none.
func (l *logs) left(ctx context.Context, key engines.Key) (subject string, err error) {
	room, err := subjectOf(l.rooms, key)
	if err != nil {
		return "", err
	}
	m, err := l.message(ctx, wanted{Last: room + ".*"})
	return m.Subject, err
}
