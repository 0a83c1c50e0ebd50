package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddyws/caddy-websocket/engines"
)

// stream is a stream of JetStream. The bucket is one, and so is that of the logs.
type stream struct {
	// Immutable.
	link    *link
	name    string
	created time.Time
	largest int // a message in bytes that it takes; 0 is no limit
}

// defaultReplicas is how many servers of a cluster have a copy of a new stream.
const defaultReplicas = 3

// openStream finds a stream, or creates it as it is wanted. What it is called in errors is
// its kind and the bucket's name. Its replicas are those that are asked for; 0 if none are.
func openStream(ctx context.Context, l *link, called string, want jetstream.StreamConfig, faults func(is, want jetstream.StreamConfig) error) (*stream, error) {
	js, err := jetstream.New(l.conn())
	if err != nil {
		return nil, err
	}
	info, err := findStream(ctx, l, js, want)
	if err != nil {
		return nil, err
	}
	if err := faults(info.Config, want); err != nil {
		return nil, fmt.Errorf("%s exists with other settings: %w", called, err)
	}
	for _, warning := range doubts(called, info.Config, want.Replicas, info.Cluster != nil && l.conn().ConnectedClusterName() != "") {
		logger().Warn(warning)
	}
	return &stream{link: l, name: info.Config.Name, created: info.Created, largest: max(int(info.Config.MaxMsgSize), 0)}, nil
}

// findStream waits until a leader of a stream answers, and creates it if there is none. Servers
// that have just started may need a while.
func findStream(ctx context.Context, l *link, js jetstream.JetStream, want jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	pause, limit := shortestPause, firstTimeout
	for {
		info, err := tryStream(ctx, l, js, want, limit)
		if err == nil || !isPassing(err) {
			return info, err
		}
		if !l.wait(ctx, l.returning(), pause) {
			return nil, fmt.Errorf("%w: JetStream does not answer: %w", engines.ErrUnavailable, err)
		}
		pause, limit = min(2*pause, longestPause), min(2*limit, answerTimeout)
	}
}

// tryStream returns what a stream is, created if need be, unless that takes longer than a
// limit.
func tryStream(ctx context.Context, l *link, js jetstream.JetStream, want jetstream.StreamConfig, limit time.Duration) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = createStream(ctx, l, js, want)
	}
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx) // which only a leader answers
	if err != nil || info.Config.RePublish != nil {
		return info, err
	}
	info.Config.RePublish = want.RePublish
	if stream, err = js.UpdateStream(ctx, info.Config); err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

func createStream(ctx context.Context, l *link, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	if want.Replicas == 0 {
		want.Replicas = 1
		if l.conn().ConnectedClusterName() != "" {
			want.Replicas = defaultReplicas
		}
	}
	stream, err := js.CreateStream(ctx, want)
	if api := new(jetstream.APIError); errors.As(err, &api) && api.ErrorCode == codeNotAlone {
		return nil, fmt.Errorf("replicas %d needs a cluster of NATS servers, this one is alone: %w", want.Replicas, err)
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

// sharedFaults returns why nothing can be kept in a stream that is to be like another one.
func sharedFaults(c, want jetstream.StreamConfig) []fault {
	return []fault{
		{!slices.Equal(c.Subjects, want.Subjects), "its subjects are not " + strings.Join(want.Subjects, " ")},
		{c.MaxAge != 0, "it forgets what is older than a maximum age"},
		{c.Discard != jetstream.DiscardNew && (c.MaxBytes > 0 || c.MaxMsgs > 0), "it discards old messages when it is full"},
		{c.Retention != jetstream.LimitsPolicy, "its retention policy is not limits"},
		{c.Mirror != nil || len(c.Sources) > 0, "it is a mirror, or has sources"},
		{c.Sealed, "it is sealed"},
		{c.NoAck, "it acknowledges nothing (no_ack)"},
		{c.SubjectTransform != nil, "it transforms subjects"},
		{c.RePublish == nil || *c.RePublish != *want.RePublish, "it does not republish to the option prefix, which is the same on all nodes"},
	}
}

// fault is something that a stream may be.
type fault struct {
	is   bool
	text string
}

// join returns the faults that there are as an error, or nil.
func join(faults []fault) error {
	var errs []error
	for _, f := range faults {
		if f.is {
			errs = append(errs, errors.New(f.text))
		}
	}
	return errors.Join(errs...)
}

// doubts returns what a stream promises less than it could.
func doubts(called string, c jetstream.StreamConfig, replicas int, clustered bool) (warnings []string) {
	if replicas != 0 && c.Replicas != replicas {
		warnings = append(warnings, fmt.Sprintf("%s has %d replicas, not the %d of the option replicas, which is for a new one", called, c.Replicas, replicas))
	}
	if clustered && c.Replicas == 1 {
		warnings = append(warnings, called+" has one replica: its rooms cannot be used while that server is away, and are lost with it")
	}
	if c.Storage != jetstream.FileStorage {
		warnings = append(warnings, called+" is kept in memory: its rooms are lost when all its servers have ended")
	}
	if c.PersistMode == jetstream.AsyncPersistMode {
		warnings = append(warnings, called+" has the persist mode async: what is acknowledged may be lost when a server ends")
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
func (s *stream) put(ctx context.Context, subject string, at uint64, h nats.Header, data []byte) (seq uint64, err error) {
	h[jetstream.ExpectedStreamHeader] = []string{s.name}
	h[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(at, 10)}
	pause := busyPause
	for range busyTries {
		answer, failed := s.link.write(ctx, &nats.Msg{Subject: subject, Header: h, Data: data})
		seq, err = outcome(answer, failed, s.name)
		if !errors.Is(err, errBusy) || !s.link.wait(ctx, nil, pause) {
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
func (s *stream) get(ctx context.Context, subject string) (stored, error) {
	m, err := s.message(ctx, wanted{Last: subject})
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
func (s *stream) next(ctx context.Context, after uint64) (uint64, error) {
	m, err := s.message(ctx, wanted{From: after + 1, Next: ">"})
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

func (s *stream) message(ctx context.Context, w wanted) (message, error) {
	request, err := json.Marshal(w)
	if err != nil {
		return message{}, err
	}
	var found struct {
		failed
		Message message `json:"message"`
	}
	err = s.query(ctx, "$JS.API.STREAM.MSG.GET."+s.name, request, &found)
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
func (s *stream) query(ctx context.Context, subject string, request []byte, a answer) error {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		err := s.queryOnce(ctx, subject, request, a)
		api := new(jetstream.APIError)
		if !errors.As(err, &api) || api.Code < 500 || !s.link.wait(ctx, nil, pause) {
			return err
		}
	}
}

func (s *stream) queryOnce(ctx context.Context, subject string, request []byte, a answer) error {
	m, err := s.link.read(ctx, subject, request)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(m.Data, a); err != nil {
		return fmt.Errorf("reading the answer of NATS: %w", err)
	}
	return a.failure()
}

// extent is how far a stream goes.
type extent struct {
	Last     uint64 `json:"last_seq"` // the sequence of the newest message
	Messages int    `json:"messages"` // how many there are
}

// extent asks the leader how far the stream goes.
func (s *stream) extent(ctx context.Context) (extent, error) {
	var info struct {
		failed
		Created time.Time `json:"created"`
		State   extent    `json:"state"`
	}
	if err := s.query(ctx, "$JS.API.STREAM.INFO."+s.name, nil, &info); err != nil {
		return extent{}, err
	}
	if !isSameCreation(info.Created, s.created) {
		return extent{}, errReplaced
	}
	return info.State, nil
}
