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
	"sync"
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
	keeps uint64 // how many of the newest messages the room keeps; 0: more than there are
	rests bool   // readers are sometimes away until some that they have not read are gone

	ending  sync.Mutex    // held where a number is taken, and where the last one is decided
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

// take reports whether a number is to be published, and notes that it is: none is beyond the last.
func (n *newspaper) take(number uint64) bool {
	n.ending.Lock()
	defer n.ending.Unlock()
	if number > n.last.Load() {
		return false
	}
	n.sent.Store(max(number, n.sent.Load()))
	return true
}

// end has one more message published, by which readers that are waiting see the end.
func (n *newspaper) end() {
	n.ending.Lock()
	defer n.ending.Unlock()
	n.last.Store(n.sent.Load() + 1)
}

// point names a place in the room's order.
func (n *newspaper) point(version uint64) string { return fmt.Sprint(n.epoch, "-", version) }

var errWrong = errors.New("wrong")

// print publishes each number until it is acknowledged, at its place. It begins with the one that
// was acknowledged last: that is a repeat.
func (n *newspaper) print() error {
	client := &http.Client{Transport: new(http.Transport), Timeout: patience}
	defer client.CloseIdleConnections()
	for i := n.printed.Load(); n.take(i); {
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
	waits  waits
}

// way is a way of reading. It reads from the point that a subscriber has reached until accept or
// skip returns an error, or the connection ends.
type way func(r *subscriber) error

// readingWays are all of them.
var readingWays = []way{bySocket, byEvents, byGet}

// read begins anew whenever a connection ends, perhaps after a rest.
func (r *subscriber) read(once way) error {
	r.waits = newWaits()
	for r.at < r.paper.last.Load() {
		r.visits++
		if err := once(r); errors.Is(err, errWrong) {
			return err
		}
		r.waits.begin("its next visit")
		if r.paper.rests && rand.IntN(4) == 0 {
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
	r.waits.accept(version >= r.paper.printed.Load())
	if r.at++; r.at == r.paper.last.Load() || rand.IntN(1000) == 0 {
		return io.EOF // enough for now
	}
	return nil
}

// skip takes that all messages before the oldest are not kept any more. That is so of those only
// behind which as many have come as are kept; what was sent may have come.
func (r *subscriber) skip(oldest uint64) error {
	newest, keeps := r.paper.sent.Load(), r.paper.keeps
	if keeps == 0 || oldest <= r.at+1 || oldest+keeps > newest+1 {
		return fmt.Errorf("%w: a gap to %d behind %d of %d", errWrong, oldest, r.at, newest)
	}
	if !r.paper.rests { // it has not kept up
		r.paper.t.Logf("a gap from %d to %d of %d; %v", r.at, oldest, newest, &r.waits)
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
	r.waits.begin("a WebSocket")
	c, err := r.paper.join(r.at)
	if err != nil {
		return err
	}
	defer c.Close()
	r.waits.begin(fmt.Sprintf("the state of %v", c.RemoteAddr()))
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
			r.waits.begin(fmt.Sprintf("messages of %v", c.RemoteAddr()))
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
	r.waits.begin("an event stream of " + request.Host)
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
	r.waits.begin("events of " + request.Host)
	for e := (&stream{t: r.paper.t, response: answer, r: bufio.NewReader(answer.Body)}); ; {
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
	request := r.paper.request(http.MethodGet, fmt.Sprintf("?after=%s&limit=%d", r.paper.point(r.at), 1+rand.IntN(1000)), "")
	request.Header.Set("Accept", "application/json")
	r.waits.begin("an answer of " + request.Host)
	answer, err := plain.Do(request)
	r.waits.begin("a moment")
	time.Sleep(5 * time.Millisecond)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var h keptHistory
	switch err := json.NewDecoder(answer.Body).Decode(&h); {
	case answer.StatusCode != http.StatusOK:
		return errors.New(answer.Status)
	case err != nil:
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

// A gap is true only where as many messages as are kept may have come behind it, and what is
// published ends with the last number.
func TestNewspaperIsJudged(t *testing.T) {
	n := &newspaper{t: t, keeps: 10, rests: true}
	n.last.Store(math.MaxUint64)
	for i := range uint64(30) {
		n.take(i + 1)
	}
	for oldest, isTrue := range map[uint64]bool{5: false, 6: false, 7: true, 21: true, 22: false} {
		if r := (&subscriber{paper: n, at: 5}); errors.Is(r.skip(oldest), errWrong) == isTrue {
			t.Errorf("a gap from 5 to %d of 30 is true: %t", oldest, !isTrue)
		}
	}
	if n.end(); n.last.Load() != 31 || !n.take(31) || n.take(32) || n.sent.Load() != 31 {
		t.Errorf("the last is %d, and %d were sent", n.last.Load(), n.sent.Load())
	}
}
