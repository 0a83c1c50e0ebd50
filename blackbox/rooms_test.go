package blackbox

import (
	"net/http"
	"strconv"
	"testing"
)

// Strangers name as many rooms as they like.

const roomsConfig = `GLOBAL
	websocket {
		max_rooms 500
		max_stored_rooms 10000
	}
END
:PORT {
	websocket /bystander echo
	websocket /sum/* sum
	websocket /chat/* broadcast {
		ping off
	}
}`

// Ten thousand rooms are kept; the next one can be looked at and not changed, and
// those that are there can.
func TestTenThousandStoredRooms(t *testing.T) {
	s := besiege(t, roomsConfig)
	s.withstands(t, 32, func() {
		for i := range 10000 {
			s.post(t, "/sum/"+strconv.Itoa(i), "1", "1")
		}
	})
	if a := s.ask(t, http.MethodPost, "/sum/more", "1"); a.status != http.StatusInsufficientStorage || a.body != "error: no more rooms can be stored" {
		t.Errorf("one room more: %d %q", a.status, a.body)
	}
	s.shows(t, "/sum/more", "0")
	s.post(t, "/sum/9999", "1", "2")
}

// As many rooms as are allowed have members; who would need one more is asked to
// come back later, and others can still join those that are there.
func TestRoomsWithMembers(t *testing.T) {
	s := besiege(t, roomsConfig)
	s.withstands(t, 32, func() {
		for i := range 499 { // and the bystander's
			s.connect(t).upgrade("/chat/" + strconv.Itoa(i))
		}
		for i := range 500 {
			c := s.connect(t)
			c.write(handshake("/chat/more" + strconv.Itoa(i)))
			if a := c.response(); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Fatalf("one room more: %d %v", a.status, a.header)
			}
			c.Close()
		}
	})
	s.connect(t).upgrade("/chat/7")
}
