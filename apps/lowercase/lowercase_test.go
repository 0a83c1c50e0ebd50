package lowercase_test

import (
	"testing"

	"github.com/caddyws/caddy-websocket/apps/lowercase"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

func TestAnswersTextInLowerCase(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	route := hubtest.Route(new(lowercase.App))
	a, b := w.Join(route), w.Join(route)
	a.Send("Hello WORLD", "ÄÖÜ ΣΑΣ Ⅷ", "", "already")
	a.Expect("hello world", "äöü σας ⅷ", "", "already")
	b.Send("OWN")
	b.Expect("own")
	a.SendBinary("A")
	a.ExpectClose(frames.UnsupportedData)
}
