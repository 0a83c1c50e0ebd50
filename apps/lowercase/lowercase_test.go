package lowercase_test

import (
	"testing"

	"github.com/caddyws/caddy-websocket/apps/appstest"
	"github.com/caddyws/caddy-websocket/apps/lowercase"
)

func TestAnswersTextInLowerCase(t *testing.T) {
	room := appstest.NewRoom(t, new(lowercase.App))
	a, b := room.Join(), room.Join()
	a.Send("Hello WORLD")
	a.Send("ÄÖÜ ΣΑΣ Ⅷ")
	a.Send("")
	a.Send("already")
	a.Expect("hello world", "äöü σας ⅷ", "", "already")
	b.Send("OWN")
	b.Expect("own")
	a.SendBinary([]byte("A"))
	a.ExpectClosed(1003)
}
