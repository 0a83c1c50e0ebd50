package caddyws

import (
	"fmt"
	"net/http"
	"testing"
)

// presenceSite is a Caddyfile whose route tells who is there, and whose handlers are told of
// those who come and go.
var presenceSite = `GLOBAL
	events {
		on websocket.joined test_note
		on websocket.left test_note
	}
END
:PORT {
` + withUser + `
	websocket /chat broadcast {
		name chat
		presence 10ms
	}
	websocket /sum sum
}`

// Handlers in a Caddyfile are told when the first connection of a member comes, and when the
// last is over. Those of routes without the option are told nothing.
func TestHandlersAreToldWhoComesAndGoes(t *testing.T) {
	s := start(t, presenceSite)
	s.dial("/sum").ask("1", "1")
	guest := s.dial("/chat")
	var page connectionPage
	s.get("/websocket/connections?route=chat", &page)
	expectComing(t, s, "joined", "", page.Connections[0].ID, 1)
	ann := s.dial("/chat", "Remote-User: ann")
	expectComing(t, s, "joined", "ann", "", 2)
	s.posts("/chat", "hello", http.StatusNoContent, "") // by nobody who is there
	guest.Close()
	expectComing(t, s, "left", "", page.Connections[0].ID, 1)
	ann.Close()
	expectComing(t, s, "left", "ann", "", 0)
	expectToldNothing(t)
}

// expectComing fails the test unless a handler is told next that a person has come or left.
func expectComing(t *testing.T, s *server, event, user, id string, count int) {
	t.Helper()
	e := expectTold(t, "", "websocket."+event+" ? ?")
	want := map[string]any{"event": event, "user": user, "id": id, "count": count, "route": "chat", "room": fmt.Sprintf("localhost:%d/chat", s.Port)}
	if got := fmt.Sprint(e.Data); got != fmt.Sprint(want) {
		t.Errorf("the event has %s, expected %v", got, want)
	}
}
