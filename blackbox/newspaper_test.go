package blackbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// newspaper is a room with history in which a producer publishes the numbers from 1 on.
type newspaper struct {
	t     *testing.T
	doors []string // addresses of servers, or of what stands before them: each visit takes any
	path  string
	epoch string
	keeps uint64        // how many of the newest messages the room keeps; 0 for all

	sent    atomic.Uint64 // the newest that was sent
	printed atomic.Uint64 // how many messages are acknowledged
	last    atomic.Uint64 // the number of the last message
}

// found publishes the first message. From then on a crash cannot change the epoch.
func found(t *testing.T, s *server, path string) *newspaper {
	t.Helper()
	n := &newspaper{t: t, doors: []string{s.address()}, path: path}
	n.sent.Store(1)
	n.printed.Store(1)
	n.last.Store(math.MaxUint64)
	first := s.ask(t, "POST", path, "1", "Idempotency-Key: press:1")
	var ok bool
	if n.epoch, ok = strings.CutSuffix(first.body, "-1"); !ok {
		t.Fatalf("%+v", first)
	}
	return n
}

// request returns a request for the room, perhaps with a query behind its path.
func (n *newspaper) request(method, query, body string) *http.Request {
	r, err := http.NewRequest(method, "http://"+n.door()+n.path+query, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	return r
}

// door is any of the addresses.
func (n *newspaper) door() string { return n.doors[rand.IntN(len(n.doors))] }

// join connects to the room from a point on.
func (n *newspaper) join(after uint64) (*websocket.Conn, error) {
	d := &websocket.Dialer{Subprotocols: []string{"json"}, HandshakeTimeout: patience}
	c, _, err := d.Dial(fmt.Sprintf("ws://%s%s?after=%s", n.door(), n.path, n.point(after)), nil)
	if err != nil {
		time.Sleep(5 * time.Millisecond) // it is down
		return nil, err
	}
	return c, c.SetReadDeadline(time.Now().Add(patience))
}

// end has nothing published but what may be on its way.
func (n *newspaper) end() { n.last.Store(n.sent.Load() + 1) }

// point names a place in the room's order.
func (n *newspaper) point(version uint64) string { return fmt.Sprint(n.epoch, "-", version) }

var errWrong = errors.New("wrong")

// print publishes each number until it is acknowledged, at its place. It begins with the one that
// was acknowledged last: that is a repeat.
func (n *newspaper) print() error {
	client := &http.Client{Transport: new(http.Transport), Timeout: patience}
	defer client.CloseIdleConnections()
	for i := n.printed.Load(); i <= n.last.Load(); {
		n.sent.Store(i)
		r := n.request(http.MethodPost, "", strconv.FormatUint(i, 10))
		r.Header.Set("Idempotency-Key", fmt.Sprint("press:", i))
		answer, err := client.Do(r)
		if err != nil {
			time.Sleep(5 * time.Millisecond) // it is down
			continue
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		switch {
		case err != nil, answer.StatusCode >= http.StatusInternalServerError:
			time.Sleep(5 * time.Millisecond) // it, or what it stores in, is down
		case answer.StatusCode != http.StatusOK || string(body) != n.point(i):
			return fmt.Errorf("%w: message %d is answered with %d %s", errWrong, i, answer.StatusCode, body)
		default:
			n.printed.Store(i)
			i++
		}
	}
	return nil
}

// subscriber reads all messages of a newspaper, or is told truly what it has missed.
type subscriber struct {
	paper *newspaper

	at     uint64 // the number of the last message
	gaps   atomic.Int64
	visits int
}

// way is a way of reading. It reads from the point that a subscriber has reached until accept or
// skip returns an error, or the connection ends.
type way func(r *subscriber) error

// readingWays are all of them.
var readingWays = []way{bySocket, byEvents, byGet}

// read begins anew whenever a connection ends. Where not all messages are kept it is sometimes away
// until some that it has not read are gone.
func (r *subscriber) read(once way) error {
	for r.at < r.paper.last.Load() {
		r.visits++
		if err := once(r); errors.Is(err, errWrong) {
			return err
		}
		if r.paper.keeps > 0 && rand.IntN(4) == 0 {
			r.rest()
		}
	}
	return nil
}

// rest waits until messages are gone, or there are no more to come.
func (r *subscriber) rest() {
	for n := r.paper.printed.Load(); n < r.at+r.paper.keeps+10 && n < r.paper.last.Load() && !r.paper.t.Failed(); n = r.paper.printed.Load() {
		time.Sleep(5 * time.Millisecond)
	}
}

// accept takes the next message.
func (r *subscriber) accept(version uint64, text string) error {
	if version != r.at+1 || text != strconv.FormatUint(version, 10) {
		return fmt.Errorf("%w: %d %q behind %d", errWrong, version, text, r.at)
	}
	if r.at++; r.at == r.paper.last.Load() || rand.IntN(1000) == 0 {
		return io.EOF // enough for now
	}
	return nil
}

// skip takes that all messages before the oldest are not kept any more. That is so of those only
// behind which as many have come as are kept; one may have come that is not acknowledged yet.
func (r *subscriber) skip(oldest uint64) error {
	newest, keeps := r.paper.printed.Load()+1, r.paper.keeps
	if keeps == 0 || oldest <= r.at+1 || oldest+keeps > newest+1 {
		return fmt.Errorf("%w: a gap to %d behind %d of %d", errWrong, oldest, r.at, newest)
	}
	r.gaps.Add(1)
	r.at = oldest - 1
	return nil
}

// skipTo takes a gap that is told as a text.
func (r *subscriber) skipTo(text string) error {
	_, behind, _ := strings.Cut(text, "gap: what happened before "+r.paper.epoch+"-")
	var oldest uint64
	if _, err := fmt.Sscanf(behind, "%d is not known any more", &oldest); err != nil {
		return fmt.Errorf("%w: %s", errWrong, text)
	}
	return r.skip(oldest)
}

// bySocket reads over a WebSocket.
func bySocket(r *subscriber) error {
	c, err := r.paper.join(r.at)
	if err != nil {
		return err
	}
	defer c.Close()
	for begun := r.at; ; {
		_, p, err := c.ReadMessage()
		if err != nil {
			return err
		}
		var m kept
		if err := json.Unmarshal(p, &m); err != nil || m.Epoch != r.paper.epoch {
			return fmt.Errorf("%w: %s", errWrong, p)
		}
		switch {
		case m.Type == "state" && m.Version == r.at:
		case m.Type == "gap" && r.at == begun:
			err = r.skip(m.Oldest)
		case m.Type == "message" && m.Data != nil:
			err = r.accept(m.Version, *m.Data)
		default:
			err = fmt.Errorf("%w: %s behind %d", errWrong, p, r.at)
		}
		if err != nil {
			return err
		}
	}
}

// byEvents reads an event stream.
func byEvents(r *subscriber) error {
	request := r.paper.request(http.MethodGet, "", "")
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Last-Event-ID", r.paper.point(r.at))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	answer, err := client.Do(request)
	if err != nil {
		time.Sleep(5 * time.Millisecond)
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	begun := r.at
	for e := (&stream{t: r.paper.t, r: bufio.NewReader(answer.Body)}); ; {
		got, err := e.read()
		if err != nil {
			return err
		}
		version, ofEpoch := strings.CutPrefix(got.id, r.paper.epoch+"-")
		v, badVersion := strconv.ParseUint(version, 10, 64)
		switch {
		case got.name == "gap" && r.at == begun:
			err = r.skipTo(got.data)
		case got.name == "" && ofEpoch && badVersion == nil:
			err = r.accept(v, got.data)
		default:
			err = fmt.Errorf("%w: %+v behind %d", errWrong, got, r.at)
		}
		if err != nil {
			return err
		}
	}
}

// byGet asks again and again.
func byGet(r *subscriber) error {
	request := r.paper.request(http.MethodGet, fmt.Sprintf("?after=%s&limit=%d", r.paper.point(r.at), 1+rand.IntN(300)), "")
	request.Header.Set("Accept", "application/json")
	answer, err := plain.Do(request)
	time.Sleep(5 * time.Millisecond)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var h keptHistory
	switch err := json.NewDecoder(answer.Body).Decode(&h); {
	case answer.StatusCode != http.StatusOK, err != nil:
		return err
	case h.Epoch != r.paper.epoch:
		return fmt.Errorf("%w: %+v behind %d", errWrong, h, r.at)
	case h.Gap:
		if err := r.skip(h.First); err != nil {
			return err
		}
	}
	for _, m := range h.Messages {
		if err := r.accept(m.Version, *m.Data); err != nil {
			return err
		}
	}
	return nil
}
