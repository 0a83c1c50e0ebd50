package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
)

// What the records of a bucket are named by.
const (
	streamPrefix  = "KV_" // of the stream, as the key-value clients of NATS have it
	subjectPrefix = "$KV."
	roomsToken    = "room."
)

// defaultReplicas is how many servers of a cluster have a copy of a new bucket.
const defaultReplicas = 3

// markerLife is how long it is kept that a room was deleted.
const markerLife = 24 * time.Hour

// bucket is the stream that rooms are kept in.
type bucket struct {
	// Immutable.
	link    *link
	name    string // of the stream
	prefix  string // of its subjects
	rooms   string // of the subjects of rooms
	created time.Time
	largest int // a message in bytes that the stream takes; 0 is no limit
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
	js, err := jetstream.New(l.conn())
	if err != nil {
		return nil, err
	}
	info, err := findStream(ctx, l, js, name, prefix, replicas)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(faults(info.Config, name, prefix)...); err != nil {
		return nil, fmt.Errorf("the bucket %s exists with other settings: %w", name, err)
	}
	for _, warning := range doubts(info.Config, replicas, info.Cluster != nil && len(l.conn().ConnectedClusterName()) > 0) {
		logger().Warn(warning, zap.String("bucket", name))
	}
	return &bucket{
		link:    l,
		name:    info.Config.Name,
		prefix:  subjectPrefix + name + ".",
		rooms:   subjectPrefix + name + "." + roomsToken,
		created: info.Created,
		largest: max(int(info.Config.MaxMsgSize), 0),
	}, nil
}

// findStream waits until a leader of the bucket's stream answers, and creates it if there is
// none. Servers that have just started may need a while.
func findStream(ctx context.Context, l *link, js jetstream.JetStream, name, prefix string, replicas int) (*jetstream.StreamInfo, error) {
	pause, limit := shortestPause, firstTimeout
	for {
		info, err := tryStream(ctx, l, js, name, prefix, replicas, limit)
		if err == nil || !isPassing(err) {
			return info, err
		}
		if !l.wait(ctx, l.returning(), pause) {
			return nil, fmt.Errorf("%w: JetStream does not answer: %w", engines.ErrUnavailable, err)
		}
		pause, limit = min(2*pause, longestPause), min(2*limit, answerTimeout)
	}
}

// tryStream returns what the bucket's stream is, created if need be, unless that takes longer
// than a limit.
func tryStream(ctx context.Context, l *link, js jetstream.JetStream, name, prefix string, replicas int, limit time.Duration) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stream, err := js.Stream(ctx, streamPrefix+name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = createStream(ctx, l, js, name, prefix, replicas)
	}
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx) // which only a leader answers
	if err != nil || info.Config.RePublish != nil {
		return info, err
	}
	info.Config.RePublish = republish(name, prefix)
	if stream, err = js.UpdateStream(ctx, info.Config); err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

func createStream(ctx context.Context, l *link, js jetstream.JetStream, name, prefix string, replicas int) (jetstream.Stream, error) {
	if replicas == 0 {
		replicas = 1
		if l.conn().ConnectedClusterName() != "" {
			replicas = defaultReplicas
		}
	}
	stream, err := js.CreateStream(ctx, settings(name, prefix, replicas))
	if api := new(jetstream.APIError); errors.As(err, &api) && api.ErrorCode == codeNotAlone {
		return nil, fmt.Errorf("replicas %d needs a cluster of NATS servers, this one is alone: %w", replicas, err)
	}
	return stream, err
}

// lasting are failures with a code from 500 on that somebody has to mend.
var lasting = []jetstream.ErrorCode{
	codeNotAlone, jetstream.JSErrCodeJetStreamNotEnabledForAccount, codeWrongConfig, codeStorageFull, codeMemoryFull,
}

// isPassing reports whether a failure to find or create a stream may be over soon. Answers
// with a code below 500 and those about the configuration are not.
func isPassing(err error) bool {
	api := new(jetstream.APIError)
	switch {
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse), errors.Is(err, jetstream.ErrStreamNotFound): // it is just being created
		return true
	case !errors.As(err, &api):
		return !errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
	case api.ErrorCode == codeNoPeers: // not enough servers are there yet
		return true
	}
	return api.Code >= 500 && !slices.Contains(lasting, api.ErrorCode)
}

// faults returns why rooms cannot be kept in a stream.
func faults(c jetstream.StreamConfig, name, prefix string) (errs []error) {
	for _, fault := range []struct {
		is   bool
		text string
	}{
		{!slices.Equal(c.Subjects, []string{subjectPrefix + name + ".>"}), "its subjects are not those of a key-value bucket"},
		{c.MaxMsgsPerSubject != 1, "it keeps a history, which has to be 1"},
		{!c.AllowMsgTTL, "it does not allow a time to live for single messages (allow_msg_ttl)"},
		{c.MaxAge != 0, "it forgets what is older than a maximum age"},
		{c.Discard != jetstream.DiscardNew && (c.MaxBytes > 0 || c.MaxMsgs > 0), "it discards old messages when it is full"},
		{c.Retention != jetstream.LimitsPolicy, "its retention policy is not limits"},
		{c.Mirror != nil || len(c.Sources) > 0, "it is a mirror, or has sources"},
		{c.Sealed, "it is sealed"},
		{c.NoAck, "it acknowledges nothing (no_ack)"},
		{c.SubjectTransform != nil, "it transforms subjects"},
		{c.RePublish == nil || *c.RePublish != *republish(name, prefix), "it does not republish to the option prefix, which is the same on all nodes"},
	} {
		if fault.is {
			errs = append(errs, errors.New(fault.text))
		}
	}
	return errs
}

// doubts returns what a bucket promises less than it could.
func doubts(c jetstream.StreamConfig, replicas int, clustered bool) (warnings []string) {
	if replicas != 0 && c.Replicas != replicas {
		warnings = append(warnings, fmt.Sprintf("the bucket has %d replicas, not the %d of the option replicas, which is for a new bucket", c.Replicas, replicas))
	}
	if clustered && c.Replicas == 1 {
		warnings = append(warnings, "the bucket has one replica: its rooms cannot be used while that server is away, and are lost with it")
	}
	if c.Storage != jetstream.FileStorage {
		warnings = append(warnings, "the bucket is kept in memory: its rooms are lost when all its servers have ended")
	}
	if c.PersistMode == jetstream.AsyncPersistMode {
		warnings = append(warnings, "the bucket has the persist mode async: what is acknowledged may be lost when a server ends")
	}
	return warnings
}

// How often, and after which pause, which grows, a message is tried again while another of its
// subject is being stored: that may be the one that was just acknowledged.
const (
	busyTries = 5
	busyPause = time.Millisecond
)

// put publishes a message if the last one of its subject has a sequence.
func (b *bucket) put(ctx context.Context, subject string, at uint64, h nats.Header, data []byte) (seq uint64, err error) {
	h[jetstream.ExpectedStreamHeader] = []string{b.name}
	h[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(at, 10)}
	pause := busyPause
	for range busyTries {
		answer, failed := b.link.write(ctx, &nats.Msg{Subject: subject, Header: h, Data: data})
		seq, err = outcome(answer, failed, b.name)
		if !errors.Is(err, errBusy) || !b.link.wait(ctx, nil, pause) {
			break
		}
		pause *= 2
	}
	return seq, err
}

// stored is the last message of a subject.
type stored struct {
	seq  uint64
	head nats.Header
	data []byte
}

// get asks the leader of the stream for the last message of a subject. If there is none the
// sequence is 0.
func (b *bucket) get(ctx context.Context, subject string) (stored, error) {
	m, err := b.message(ctx, wanted{Last: subject})
	switch {
	case err != nil || m.Seq == 0:
		return stored{}, err
	case m.Subject != subject:
		return stored{}, fmt.Errorf("NATS answers with subject %q, sequence %d", m.Subject, m.Seq)
	}
	h, err := parseHeaderBytes(m.Header)
	return stored{m.Seq, h, m.Data}, err
}

// next asks the leader of the stream for the sequence of its first message behind another
// one; 0 if there is none.
func (b *bucket) next(ctx context.Context, after uint64) (uint64, error) {
	m, err := b.message(ctx, wanted{From: after + 1, Next: ">"})
	return m.Seq, err
}

// wanted is the request for a message: the last one of a subject, or the first one of a
// subject from a sequence on.
type wanted struct {
	Last string `json:"last_by_subj,omitempty"`
	From uint64 `json:"seq,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
}

// message is a message as the leader of the stream tells it. If there is none its sequence
// is 0.
type message struct {
	Subject string `json:"subject"`
	Seq     uint64 `json:"seq"`
	Header  []byte `json:"hdrs"`
	Data    []byte `json:"data"`
}

func (b *bucket) message(ctx context.Context, w wanted) (message, error) {
	request, err := json.Marshal(w)
	if err != nil {
		return message{}, err
	}
	var found struct {
		failed
		Message message `json:"message"`
	}
	err = b.query(ctx, "$JS.API.STREAM.MSG.GET."+b.name, request, &found)
	switch api := new(jetstream.APIError); {
	case errors.As(err, &api) && api.ErrorCode == codeNoMessage:
		return message{}, nil
	case err == nil && found.Message.Seq == 0:
		err = errors.New("NATS answers without a message")
	}
	return found.Message, err
}

// answer is what an answer of JetStream is read into, its error with the rest at once: the rest
// may be large.
type answer interface {
	// failure returns the error, if there is one, and forgets it.
	failure() error
}

// failed is the part of an answer that tells an error.
type failed struct {
	Error *jetstream.APIError `json:"error"`
}

func (f *failed) failure() error {
	err := f.Error
	if f.Error = nil; err == nil {
		return nil
	}
	return err
}

// query asks the stream's leader something, until it answers or ctx ends.
func (b *bucket) query(ctx context.Context, subject string, request []byte, a answer) error {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		err := b.queryOnce(ctx, subject, request, a)
		api := new(jetstream.APIError)
		if !errors.As(err, &api) || api.Code < 500 || !b.link.wait(ctx, nil, pause) {
			return err
		}
	}
}

func (b *bucket) queryOnce(ctx context.Context, subject string, request []byte, a answer) error {
	m, err := b.link.read(ctx, subject, request)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(m.Data, a); err != nil {
		return fmt.Errorf("reading the answer of NATS: %w", err)
	}
	return a.failure()
}

// errReplaced is of a bucket that is not the one that was opened.
var errReplaced = errors.New("the bucket was deleted, and perhaps restored, while it was in use: Caddy has to be restarted")

// extent is how far a stream goes.
type extent struct {
	Last     uint64 `json:"last_seq"` // the sequence of the newest message
	Messages int    `json:"messages"` // how many there are
}

// extent asks the leader how far the stream goes.
func (b *bucket) extent(ctx context.Context) (extent, error) {
	var info struct {
		failed
		Created time.Time `json:"created"`
		State   extent    `json:"state"`
	}
	if err := b.query(ctx, "$JS.API.STREAM.INFO."+b.name, nil, &info); err != nil {
		return extent{}, err
	}
	if !isSameCreation(info.Created, b.created) {
		return extent{}, errReplaced
	}
	return info.State, nil
}
