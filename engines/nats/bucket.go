package nats

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// What the records of a bucket are named by.
const (
	streamPrefix  = "KV_" // of the stream, as the key-value clients of NATS have it
	subjectPrefix = "$KV."
	roomsToken    = "room."
)

// markerLife is how long it is kept that a room was deleted.
const markerLife = 24 * time.Hour

// bucket is the stream that the states of rooms are kept in.
type bucket struct {
	*stream
	prefix string // of its subjects
	rooms  string // of the subjects of rooms
}

// settings returns what a new bucket is like.
func settings(name, prefix string, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              streamPrefix + name,
		Description:       "rooms of caddy-websocket",
		Subjects:          []string{subjectPrefix + name + ".>"},
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		Retention:         jetstream.LimitsPolicy,
		MaxMsgsPerSubject: 1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgSize:        -1,
		Discard:           jetstream.DiscardNew,
		DenyDelete:        true,
		AllowRollup:       true,
		AllowMsgTTL:       true,
		RePublish:         republish(name, prefix),
	}
}

// openBucket finds the bucket, or creates it. Replicas are those that are asked for; 0 if
// none are.
func openBucket(ctx context.Context, l *link, name, prefix string, replicas int) (*bucket, error) {
	s, err := openStream(ctx, l, "the bucket "+name, settings(name, prefix, replicas), bucketFaults)
	if err != nil {
		return nil, err
	}
	subjects := subjectPrefix + name + "."
	return &bucket{s, subjects, subjects + roomsToken}, nil
}

// bucketFaults returns why states of rooms cannot be kept in a stream.
func bucketFaults(c, want jetstream.StreamConfig) error {
	return join(append(sharedFaults(c, want),
		fault{c.MaxMsgsPerSubject != 1, "it keeps a history, which has to be 1"},
		fault{!c.AllowMsgTTL, "it does not allow a time to live for single messages (allow_msg_ttl)"},
	))
}

// errReplaced is of a bucket that is not the one that was opened.
var errReplaced = errors.New("the bucket was deleted, and perhaps restored, while it was in use: Caddy has to be restarted")
