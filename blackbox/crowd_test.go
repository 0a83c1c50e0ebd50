package blackbox

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// seen is one state as a member was shown it.
type seen struct {
	epoch   string
	version int
	total   string
}

// 200 followers of an event stream and 200 WebSockets of one room, fewer under the race
// detector, see the same states: versions rise, each has one total, and the last one
// reaches everybody.
func TestEverybodySeesTheSameVersions(t *testing.T) {
	each, operations := 200, 500
	if race {
		each, operations = 50, 200
	}
	s := start(t, ":PORT {\n websocket sum\n}")

	joined, results := make(chan error), make(chan []seen)
	for i := range 2 * each {
		next := follower
		if i%2 == 0 {
			next = jsonMember
		}
		go func() {
			read, stop, err := next(t.Context(), s.address())
			joined <- err
			if err != nil {
				results <- nil
				return
			}
			defer stop()
			results <- watch(read, operations)
		}()
	}
	for range 2 * each {
		if err := <-joined; err != nil {
			t.Error(err)
		}
	}
	sender := s.dial(t, "/room")
	for i := range operations {
		sender.send("1")
		sender.expect(strconv.Itoa(i + 1))
	}

	epoch, skipped := "", 0
	for range 2 * each {
		states := <-results
		if len(states) == 0 {
			t.Error("a member saw nothing")
			continue
		}
		if epoch == "" {
			epoch = states[0].epoch
		}
		before := -1
		for _, state := range states {
			if state.epoch != epoch || state.version <= before || state.total != strconv.Itoa(state.version) {
				t.Fatalf("after version %d of %s comes %+v", before, epoch, state)
			}
			before = state.version
		}
		if before != operations {
			t.Errorf("the last version that a member saw is %d, not %d", before, operations)
		}
		skipped += operations + 1 - len(states)
	}
	t.Logf("of %d states %d were skipped", 2*each*(operations+1), skipped)
}

// watch reads states up to a version, or to the end.
func watch(read func() (seen, error), last int) (all []seen) {
	for {
		state, err := read()
		if err != nil {
			return all
		}
		if all = append(all, state); state.version >= last {
			return all
		}
	}
}

// follower joins by an event stream. It returns when it has joined.
func follower(ctx context.Context, address string) (func() (seen, error), func(), error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/room", nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	response, err := plain.Do(r)
	if err != nil {
		return nil, nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, nil, fmt.Errorf("following: %s", response.Status)
	}
	stream := &stream{response: response, r: bufio.NewReader(response.Body)}
	return func() (seen, error) {
		e, err := stream.read()
		if err != nil {
			return seen{}, err
		}
		epoch, version, _ := strings.Cut(e.id, "-")
		n, err := strconv.Atoi(version)
		return seen{epoch, n, e.data}, err
	}, func() { response.Body.Close() }, nil
}

// jsonMember joins by a WebSocket.
func jsonMember(ctx context.Context, address string) (func() (seen, error), func(), error) {
	dialer := websocket.Dialer{Subprotocols: []string{"json"}, HandshakeTimeout: patience}
	conn, _, err := dialer.DialContext(ctx, "ws://"+address+"/room", nil)
	if err != nil {
		return nil, nil, err
	}
	return func() (seen, error) {
		conn.SetReadDeadline(time.Now().Add(patience))
		var m struct {
			Epoch   string
			Version int
			Total   json.Number
		}
		err := conn.ReadJSON(&m)
		return seen{m.Epoch, m.Version, m.Total.String()}, err
	}, func() { conn.Close() }, nil
}

// crowdAddress is set where this binary is to be a crowd of clients.
const crowdAddress = "BLACKBOX_CROWD"

const crowdSize = 100

// beCrowd connects to a server's /sum and adds 1 for each connection. It reads
// nothing and never ends.
func beCrowd(address string) {
	for range crowdSize {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_, err = io.WriteString(conn, handshake("/sum")+text("1"))
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		defer conn.Close() // keeps it
	}
	select {}
}
