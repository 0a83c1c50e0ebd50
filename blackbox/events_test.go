package blackbox

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const eventsConfig = `:PORT {
	encode gzip zstd
	websocket /sum/* sum
	websocket /chat/* broadcast
	websocket /silent {
		app sum {
			reply_only
		}
	}
	websocket /pinged {
		app sum
		ping 100ms
	}
}`

// The state now, by its ID, then every change.
func TestEventsBeginWithTheState(t *testing.T) {
	s := start(t, eventsConfig)
	s.post(t, "/sum/a", "6", "6")
	events := s.events(t, "/sum/a")
	for name, want := range map[string]string{"Cache-Control": "no-store", "Vary": "Accept, Origin", "X-Accel-Buffering": "no", "Content-Encoding": ""} {
		if got := events.response.Header.Get(name); name != "Vary" && got != want || !has(events.response.Header, "Vary", "Origin") {
			t.Errorf("%s is %q, want %q; %v", name, got, want, events.response.Header)
		}
	}
	first := events.next()
	epoch, ok := strings.CutSuffix(first.id, "-1")
	if !ok || len(epoch) != 8 || first != (event{first.id, "", "6"}) {
		t.Fatalf("begins with %+v", first)
	}
	s.post(t, "/sum/a", "1", "7")
	if got := events.next(); got != (event{epoch + "-2", "", "7"}) {
		t.Errorf("goes on with %+v", got)
	}
	if a := s.ask(t, "POST", "/sum/a", "six"); a.status != http.StatusBadRequest {
		t.Errorf("%+v", a)
	}
	s.post(t, "/sum/a", "-7", "0")
	if got := events.next(); got != (event{epoch + "-3", "", "0"}) {
		t.Errorf("goes on with %+v", got)
	}
}

// Who comes back is told what he has not seen, and nothing that he has.
func TestEventsResume(t *testing.T) {
	s := start(t, eventsConfig)
	s.post(t, "/sum/a", "6", "6")
	seen := s.events(t, "/sum/a").next()
	back := s.events(t, "/sum/a", "Last-Event-ID: "+seen.id)
	s.post(t, "/sum/a", "1", "7")
	back.expect("7")
	if want := seen.id[:8] + "-2"; back.lastID != want {
		t.Errorf("the ID is %s, want %s", back.lastID, want)
	}
	for _, id := range []string{seen.id, seen.id[:8] + "-0", "AAAAAAAA-2", "2", "garbage", seen.id + "\t", seen.id[:8] + "-02"} {
		if got := s.events(t, "/sum/a", "Last-Event-ID: "+id).next(); got.data != "7" || got.id != seen.id[:8]+"-2" {
			t.Errorf("after %q: %+v", id, got)
		}
	}
}

// An app that tells only the sender has a state to follow all the same.
func TestEventsOfASilentApp(t *testing.T) {
	s := start(t, eventsConfig)
	s.post(t, "/silent", "6", "6")
	s.events(t, "/silent").expect("6")
}

func TestEventsArePinged(t *testing.T) {
	s := start(t, eventsConfig)
	events := s.events(t, "/pinged")
	events.expect("0")
	for events.comments = 0; events.comments < 3; {
		line, err := events.line()
		if err != nil {
			t.Fatal(err)
		}
		switch line {
		case ":":
			events.comments++
		case "":
		default:
			t.Fatalf("a ping is %q", line)
		}
	}
	s.post(t, "/pinged", "1", "1")
	events.expect("1")
}

// Each line of a message is a line of data: nothing a client says becomes an
// event, a name or an ID of its own.
func TestEventsCannotBeForged(t *testing.T) {
	s := start(t, eventsConfig)
	events, speaker := s.events(t, "/chat/a"), s.dial(t, "/chat/a")
	for _, message := range []string{
		"one line", "", "\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", "\n\r", " leading blank", "trailing\n", "\nleading",
		"a\nb", "a\rb", "a\r\nb", "a\n\nb", "a\r\n\r\nb", "a\n\rb", "a\r\r\nb",
		"data: x", "id: 7", "event: forged", "retry: 1", ":comment", "data", "id",
		"x\ndata: y", "x\rdata: y", "x\r\ndata: y", "x\n\ndata: y\n\n", "x\r\rdata: y\r\r", "x\r\n\r\ndata: y\r\n\r\n",
		"x\nid: 7\n\n", "x\rid: 7\r\r", "x\nevent: forged\n\n", "x\revent: forged\r\r", "x\n\nretry: 1\n\n", "x\n:comment\n\n",
		"\ufeffdata: x", "x\u2028data: y", "x\u2029data: y", "x\u0085data: y", "x\vdata: y", "x\fdata: y", "x\x00\nid: 7",
	} {
		speaker.send(message)
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(message)
		if got := events.next(); got != (event{"", "", want}) {
			t.Errorf("%q became %+v", message, got)
		}
		speaker.expect(message)
	}
}

// Binary messages are told apart by their name.
func TestBinaryEvents(t *testing.T) {
	s := start(t, eventsConfig)
	events, speaker := s.events(t, "/chat/a"), s.dial(t, "/chat/a")
	for _, message := range []string{"\x00\xff\n", "", strings.Repeat("\n\r", 300)} {
		speaker.sendBinary(message)
		got := events.next()
		if data, err := base64.StdEncoding.DecodeString(got.data); err != nil || string(data) != message || got.name != "binary" {
			t.Errorf("%q became %+v", message, got)
		}
	}
	speaker.send("text")
	if got := events.next(); got != (event{"", "", "text"}) {
		t.Errorf("got %+v", got)
	}
}

// encode compresses a stream, yet each event leaves when it happens: the next is
// caused only when the one before has been read.
func TestEventsAreNotHeldBackByEncode(t *testing.T) {
	s := start(t, eventsConfig)
	for coding, decode := range map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) },
	} {
		t.Run(coding, func(t *testing.T) {
			path := "/sum/" + coding
			events := s.events(t, path, "Accept-Encoding: "+coding)
			if got := events.response.Header.Get("Content-Encoding"); got != coding {
				t.Fatalf("the coding is %q", got)
			}
			decoded, err := decode(events.response.Body)
			if err != nil {
				t.Fatal(err)
			}
			events.r = bufio.NewReader(decoded)
			events.expect("0")
			for _, total := range []string{"1", "2", "3"} {
				s.post(t, path, "1", total)
				events.expect(total)
			}
		})
	}
}

// When Caddy stops, streams end as streams do, and WebSockets with 1001. Neither
// keeps it from ending.
func TestStoppingEndsEverybody(t *testing.T) {
	s := start(t, eventsConfig)
	events, ws := s.events(t, "/sum/a"), s.dial(t, "/sum/a")
	events.expect("0")
	s.terminate()
	got, err := events.read()
	ws.expectClose(1001)
	ws.Close()
	s.stop()
	if err != io.EOF && !s.log.has(hardEnd) {
		t.Errorf("the stream ended with %+v, %v", got, err)
	}
}
