package nats

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/caddyws/caddy-websocket/engines"
)

// A room that was created and deleted by others while it is created leaves another marker than
// the one that was there: that one is not replaced. A marker that has vanished is.
func TestCreatingOverAMarker(t *testing.T) {
	options := serverOptions(t)
	options.JetStream = false
	url := startServer(t, options).ClientURL()
	l, err := dial(bounded(t), nil, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	server, _ := connect(t, url)
	marker := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "NATS/1.0\r\n%s: %s\r\n\r\n", markerHeader, markerValue))
	for name, test := range map[string]struct {
		markers []int  // that are found one after another; 0: none
		takes   string // the sequence that has to be there to be stored
		want    error
	}{
		"the first":   {[]int{5}, "5", nil},
		"vanished":    {[]int{5, 0}, "0", nil},
		"the same":    {[]int{5, 5}, "", engines.ErrConflict},
		"younger":     {[]int{5, 9}, "9", engines.ErrConflict},
		"then there":  {[]int{0, 9}, "9", engines.ErrConflict},
		"after a gap": {[]int{5, 0, 9}, "9", engines.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			token := newBucket()
			b := &bucket{stream: &stream{link: l, name: streamPrefix + token}, rooms: subjectPrefix + token + "." + roomsToken}
			e := &Engine{link: l, bucket: b, node: "n"}
			subject := b.rooms + "a.b"
			asked := 0
			answer := func(subject string, text func(m *nats.Msg) string) {
				sub, err := server.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond([]byte(text(m))) })
				if err != nil || server.Flush() != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = sub.Unsubscribe() })
			}
			answer("$JS.API.STREAM.MSG.GET."+b.name, func(*nats.Msg) string {
				seq := test.markers[min(asked, len(test.markers)-1)]
				if asked++; seq == 0 {
					return fmt.Sprintf(`{"error":{"code":404,"err_code":%d}}`, codeNoMessage)
				}
				return fmt.Sprintf(`{"message":{"subject":%q,"seq":%d,"hdrs":%q}}`, subject, seq, marker)
			})
			answer(subject, func(m *nats.Msg) string {
				if m.Header.Get("Nats-Expected-Last-Subject-Sequence") != test.takes {
					return fmt.Sprintf(`{"error":{"code":400,"err_code":%d}}`, codeWrongSequence)
				}
				return fmt.Sprintf(`{"stream":%q,"seq":10}`, b.name)
			})
			seq, err := e.createAgain(bounded(t), subject, value("x"))
			if !errors.Is(err, test.want) || (seq == 10) != (test.want == nil) {
				t.Errorf("%d, %v; want %v", seq, err, test.want)
			}
		})
	}
}
