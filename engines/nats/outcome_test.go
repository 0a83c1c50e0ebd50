package nats

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/caddyws/caddy-websocket/engines"
)

// Only these are certain; everything else may have been stored.
func TestOutcomes(t *testing.T) {
	failed := func(code int, text string) string {
		return fmt.Sprintf(`{"error":{"code":503,"err_code":%d,"description":%q},"stream":"KV_b","seq":0}`, code, text)
	}
	for _, test := range []struct {
		answer string
		err    error
		want   error // nil: unknown
	}{
		{failed(10071, "wrong last sequence: 5"), nil, engines.ErrConflict},
		{failed(10164, "wrong last sequence"), nil, engines.ErrConflict},
		{failed(10077, "maximum bytes exceeded"), nil, engines.ErrRefused},
		{failed(10077, "maximum messages exceeded"), nil, engines.ErrRefused},
		{failed(10054, "message size exceeds maximum allowed"), nil, engines.ErrRefused},
		{failed(10047, "insufficient storage resources available"), nil, engines.ErrRefused},
		{failed(10023, "insufficient resources"), nil, engines.ErrRefused},
		{failed(10002, "resource limits exceeded for account"), nil, engines.ErrRefused},
		{"", fmt.Errorf("%w: %w", errUnsent, nats.ErrNoResponders), engines.ErrRefused},
		{"", fmt.Errorf("%w: %w", errUnsent, context.DeadlineExceeded), engines.ErrRefused},
		{failed(10077, "no space left on device"), nil, nil},
		{failed(10077, "store closed"), nil, nil},
		{failed(10008, "JetStream system temporarily unavailable"), nil, nil},
		{failed(10009, "JetStream cluster can not handle request"), nil, nil},
		{failed(99999, "something new"), nil, nil},
		{`{"stream":"KV_other","seq":7}`, nil, nil},
		{`{"stream":"KV_b"}`, nil, nil},
		{`+OK`, nil, nil},
		{``, nil, nil},
		{"", nats.ErrDisconnected, nil},
		{"", nats.ErrConnectionClosed, nil},
		{"", context.DeadlineExceeded, nil},
		{"", context.Canceled, nil},
		{"", errors.New("broken pipe"), nil},
	} {
		seq, err := outcome(&nats.Msg{Data: []byte(test.answer)}, test.err, "KV_b")
		certain := errors.Is(err, engines.ErrConflict) || errors.Is(err, engines.ErrRefused)
		if err == nil || seq != 0 || certain != (test.want != nil) || certain && !errors.Is(err, test.want) {
			t.Errorf("%s, %v: %d, %v", test.answer, test.err, seq, err)
		}
	}
	if seq, err := outcome(&nats.Msg{Data: []byte(`{"stream":"KV_b","seq":7}`)}, nil, "KV_b"); err != nil || seq != 7 {
		t.Errorf("%d, %v", seq, err)
	}
}

// A request that was sent is never sent again, and one that was not is.
func TestErrorsOfWhatWasNotSent(t *testing.T) {
	for err, want := range map[error]bool{
		nats.ErrNoResponders: true, nats.ErrReconnectBufExceeded: true, nats.ErrMaxPayload: true,
		nats.ErrDisconnected: false, nats.ErrConnectionClosed: false, nats.ErrTimeout: false, context.DeadlineExceeded: false,
	} {
		if isUnsent(fmt.Errorf("asking: %w", err)) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}
