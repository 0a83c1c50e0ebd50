package nats

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/caddyws/caddy-websocket/engines"
)

// Servers that do not answer, or only that they do not know, may be able to later. They are not
// asked without a pause.
func TestMarkingAStreamThatIsSilent(t *testing.T) {
	options := serverOptions(t)
	options.JetStream = false
	url := startServer(t, options).ClientURL()
	l, err := dial(bounded(t), nil, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	server, _ := connect(t, url)
	for name, answers := range map[string][2]string{
		"silent":  {},
		"unknown": {`{"error":{"code":404,"err_code":10037}}`, `{"error":{"code":503,"err_code":99999}}`},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			s, subject := &stream{link: l, name: "KV_" + name}, "$KV."+name+"."+markToken
			for i, request := range []string{"$JS.API.STREAM.MSG.GET." + s.name, subject} {
				sub, err := server.Subscribe(request, func(m *nats.Msg) {
					if asked.Add(1) == 1 {
						time.AfterFunc(time.Second, cancel)
					}
					if answers[i] != "" {
						_ = m.Respond([]byte(answers[i]))
					}
				})
				if err != nil || server.Flush() != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = sub.Unsubscribe() })
			}
			if text, err := s.mark(ctx, subject); !errors.Is(err, engines.ErrUnavailable) || text != "" {
				t.Errorf("%q, %v", text, err)
			}
			if n := asked.Load(); n == 0 || n > 50 {
				t.Errorf("asked %d times in a second", n)
			}
		})
	}
}
