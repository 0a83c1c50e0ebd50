package nats

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddyws/caddy-websocket/engines"
)

// What JetStream answers by code, beside those that the client has names for.
const (
	codeNoMessage       jetstream.ErrorCode = 10037
	codeWrongSequence   jetstream.ErrorCode = 10071
	codeBusy            jetstream.ErrorCode = 10164 // another message of the subject is being stored
	codeStoreFailed     jetstream.ErrorCode = 10077 // the description says why
	codeMessageTooLarge jetstream.ErrorCode = 10054
	codeHeaderTooLarge  jetstream.ErrorCode = 10097
	codeNoResources     jetstream.ErrorCode = 10023
	codeAccountFull     jetstream.ErrorCode = 10002
	codeMemoryFull      jetstream.ErrorCode = 10028
	codeStorageFull     jetstream.ErrorCode = 10047
	codeOtherStream     jetstream.ErrorCode = 10060
	codeSealed          jetstream.ErrorCode = 10109
	codeNotAlone        jetstream.ErrorCode = 10074 // replicas in a server that is alone
	codeNoPeers         jetstream.ErrorCode = 10005 // no servers for the replicas
	codeWrongConfig     jetstream.ErrorCode = 10052 // of a stream
)

// refusals are answers by which a message is certainly not stored: they are given before
// the message is passed to the replicas. Servers before version 2.12 gave codeNoResources
// also for a message that the replicas had.
var refusals = []jetstream.ErrorCode{
	codeMessageTooLarge, codeHeaderTooLarge, codeNoResources, codeAccountFull, codeMemoryFull, codeStorageFull, codeOtherStream, codeSealed,
}

// limits are the reasons of codeStoreFailed by which all replicas refuse a message. Others,
// such as a disk's fault, are those of one replica.
var limits = []string{"maximum bytes exceeded", "maximum messages exceeded", "message too large"}

// errBusy is of a message that is not stored, although its sequence may be the right one.
var errBusy = fmt.Errorf("%w, or is just being changed", engines.ErrConflict)

// acknowledgement is the answer to a message.
type acknowledgement struct {
	Stream   string              `json:"stream"`
	Sequence uint64              `json:"seq"`
	Error    *jetstream.APIError `json:"error"`
}

// outcome returns the sequence of a message that was sent to a stream, or what has come of it,
// as Swap has it.
func outcome(answer *nats.Msg, err error, stream string) (uint64, error) {
	switch {
	case errors.Is(err, errUnsent):
		return 0, refused(err)
	case err != nil:
		return 0, fmt.Errorf("whether NATS has stored it is not known: %w", err)
	}
	var a acknowledgement
	if err := json.Unmarshal(answer.Data, &a); err != nil {
		return 0, fmt.Errorf("reading the answer of NATS: %w", err)
	}
	switch {
	case a.Error != nil:
		return 0, judge(a.Error)
	case a.Sequence == 0 || a.Stream != stream:
		return 0, fmt.Errorf("NATS answers for the stream %q, sequence %d", a.Stream, a.Sequence)
	}
	return a.Sequence, nil
}

// judge returns what an answer of JetStream means for the message.
func judge(err *jetstream.APIError) error {
	switch code := err.ErrorCode; code {
	case codeWrongSequence:
		return engines.ErrConflict
	case codeBusy:
		return errBusy
	case codeStoreFailed:
		for _, limit := range limits {
			if strings.Contains(err.Description, limit) {
				return refused(err)
			}
		}
	default:
		if slices.Contains(refusals, code) {
			return refused(err)
		}
	}
	return fmt.Errorf("whether NATS has stored it is not known: %w", err)
}

func refused(err error) error { return fmt.Errorf("%w: %w", engines.ErrRefused, err) }
