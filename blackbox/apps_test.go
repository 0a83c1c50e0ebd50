package blackbox

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
)

// The password of ann is secret.
const appsConfig = `
(routes) {
	websocket /echo echo
	websocket /once {
		app echo {
			once
		}
	}
	websocket /lowercase lowercase
	websocket /chat/* broadcast
	websocket /others {
		app broadcast {
			others
		}
	}
	websocket /article broadcast "Message: {message}"
	basic_auth /users {
		ann $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
	}
	websocket /users broadcast "{user} says {message}"
	websocket /ids broadcast "{id}"
	websocket /sum/* sum
	websocket /greeting {
		app sum {
			greet
		}
	}
	websocket /power/* {
		app meter {
			value power.watts
			key id
			window 15s
			latest
			alert high each last above 900 {
				clear 850
				message "{key} draws {value}"
			}
		}
	}
	websocket /silent {
		app sum {
			reply_only
		}
	}
}
:PORT {
	import routes
}`

func TestEcho(t *testing.T) {
	s := start(t, appsConfig)
	c, other := s.dial(t, "/echo"), s.dial(t, "/echo")
	c.send("Hello", "", "H\u00e9llo\x00")
	c.expect("Hello", "", "H\u00e9llo\x00")
	c.sendBinary("\x00\xff")
	c.expectBinary("\x00\xff")
	other.send("mine alone")
	other.expect("mine alone")

	once := s.dial(t, "/once")
	once.send("first", "second")
	once.expect("first")
	once.expectClose(1000)
}

func TestLowercase(t *testing.T) {
	s := start(t, appsConfig)
	c := s.dial(t, "/lowercase")
	c.send("HELLO", "\u00c0\u00c9\u00ce \u03a3", "")
	c.expect("hello", "\u00e0\u00e9\u00ee \u03c3", "")
	c.sendBinary("A")
	c.expectClose(1003)
}

func TestBroadcast(t *testing.T) {
	s := start(t, appsConfig)
	a, b, elsewhere := s.dial(t, "/chat/1"), s.dial(t, "/chat/1"), s.dial(t, "/chat/2")
	a.send("1", "2")
	for _, c := range []*client{a, b} {
		c.expect("1", "2")
	}
	b.sendBinary("\x00\xff")
	for _, c := range []*client{a, b} {
		c.expectBinary("\x00\xff")
	}
	elsewhere.send("elsewhere")
	elsewhere.expect("elsewhere")

	x, y := s.dial(t, "/others"), s.dial(t, "/others")
	x.send("from x")
	y.expect("from x")
	y.send("from y")
	x.expect("from y")
}

// Who has seen the 101, or the head of an event stream, is in the room: nothing
// that is said from then on passes him by.
func TestMembersFromTheHandshakeOn(t *testing.T) {
	s := start(t, appsConfig)
	for i := range 200 {
		path := "/chat/" + strconv.Itoa(i)
		speaker, listener, follower := s.dial(t, path), s.dial(t, path), s.events(t, path)
		speaker.send("Hello")
		listener.expect("Hello")
		follower.expect("Hello")
		for _, c := range []*client{speaker, listener} {
			c.Close()
		}
		follower.response.Body.Close()
	}
}

// Placeholders are those of the format, never those of a message.
func TestBroadcastFormats(t *testing.T) {
	s := start(t, appsConfig)
	a := s.dial(t, "/article")
	a.send("Hello", "{message} {user} {id} $1 %s")
	a.expect("Message: Hello", "Message: {message} {user} {id} $1 %s")

	const authorization = "Authorization: Basic "
	ann := s.dial(t, "/users", authorization+base64.StdEncoding.EncodeToString([]byte("ann:secret")))
	ann.send("{user} and {message}")
	ann.expect("ann says {user} and {message}")
	head("", "", "").is(401, "", "").check(t, s.ask(t, "POST", "/users", "x",
		authorization+base64.StdEncoding.EncodeToString([]byte("ann:wrong"))))

	one, two := s.dial(t, "/ids"), s.dial(t, "/ids")
	ids := make(map[string]bool)
	for _, c := range []*client{one, two} {
		c.send("who am I")
		_, id, err := c.ReadMessage()
		if err != nil || len(id) < 8 || ids[string(id)] {
			t.Errorf("the ID is %q, %v", id, err)
		}
		ids[string(id)] = true
		if c == one {
			two.ReadMessage() // two has it, too
		}
	}
}

// Nobody waits for a slow client: it is closed with 1013 once more waits for it
// than max_queue, and the others have everything.
func TestSlowMembersAreClosed(t *testing.T) {
	s := start(t, `:PORT {
		websocket {
			app broadcast
			max_queue 64KiB
		}
	}`)
	slow := s.connect(t)
	slow.write(changed("GET /chat HTTP/1.1", "Host: "+s.address()))
	slow.response()
	member := s.dial(t, "/chat")
	const messages = 1000 // 32 MB, more than the kernel's buffers hold
	for range messages {
		member.send(strings.Repeat("x", 32<<10))
		_, _, err := member.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
	}
	taken := 0
	for {
		f, err := readFrame(slow.r)
		if err != nil || f.op == opClose {
			break // after 3 s without reading the close frame is cut off, too
		}
		taken++
	}
	if taken == 0 || taken >= messages {
		t.Errorf("of %d messages the slow member got %d", messages, taken)
	}
	slow.Close()
	if line := s.log.wait(t, "client does not read fast enough"); !strings.Contains(line, "1013") {
		t.Errorf("the log says %s", line)
	}
	member.send("still here")
	member.expect("still here")
}

func TestSum(t *testing.T) {
	s := start(t, appsConfig)
	a, b := s.dial(t, "/sum/a"), s.dial(t, "/sum/a")
	a.send("1")
	a.expect("1")
	b.expect("1")
	b.send(" 3\n")
	a.expect("4")
	b.expect("4")
	a.send("six")
	a.expect("error: not a number")
	a.sendBinary("6")
	a.expect("error: binary message, send a number as text")
	a.send(`{"value":-4}`)
	a.expect("0")
	b.expect("0")

	a.Close()
	s.shows(t, "/sum/a", "0")
	late := s.dial(t, "/sum/a")
	b.send("7")
	late.expect("7") // nothing before it

	s.dial(t, "/greeting").expect("0")
	x, y := s.dial(t, "/silent"), s.dial(t, "/silent")
	x.send("1")
	x.expect("1")
	y.send("3")
	y.expect("4")
	x.send("1")
	x.expect("5")
}

// Totals are exact, in decimals.
func TestSumIsExact(t *testing.T) {
	s := start(t, appsConfig)
	nines := strings.Repeat("9", 30)
	for i, test := range []struct{ send, want []string }{
		{[]string{"0.1", "0.2"}, []string{"0.1", "0.3"}},
		{[]string{"1e3", "-1E-3", "+1"}, []string{"1000", "999.999", "1000.999"}},
		{[]string{"-0"}, []string{"0"}},
		{[]string{"0.10", "0.00"}, []string{"0.1", "0.1"}},
		{[]string{"9007199254740993", "0.5"}, []string{"9007199254740993", "9007199254740993.5"}},
		{[]string{nines + "." + nines, "0." + strings.Repeat("0", 29) + "1"}, []string{nines + "." + nines, "1" + strings.Repeat("0", 30)}},
		{[]string{`{"value":0.1}`, `{"value":2e-1,"more":[]}`}, []string{"0.1", "0.3"}},
		{[]string{"1" + strings.Repeat("0", 30), "1"}, []string{"error: more than 30 digits before the decimal point", "1"}},
		{[]string{"1e-31", "1"}, []string{"error: more than 30 digits after the decimal point", "1"}},
		{[]string{"NaN", "Infinity", "0x10", "1_000", "1,5", "\u0661", "", "1"}, []string{"error: not a number", "error: not a number", "error: not a number", "error: not a number", "error: not a number", "error: not a number", "error: not a number", "1"}},
		{[]string{"1", "x", "1"}, []string{"1", "error: not a number", "2"}}, // pipelined, as all of them
	} {
		c := s.dial(t, "/sum/"+string(rune('a'+i)))
		c.send(test.send...)
		c.expect(test.want...)
	}
}

// The subprotocol json.
func TestSumInJSON(t *testing.T) {
	s := start(t, appsConfig)
	const subprotocol = "Sec-WebSocket-Protocol: json"
	a, b, text := s.dial(t, "/sum/a", subprotocol), s.dial(t, "/sum/a", subprotocol), s.dial(t, "/sum/a")
	for _, c := range []*client{a, b} {
		if got := c.Subprotocol(); got != "json" {
			t.Fatalf("agreed on %q", got)
		}
		c.expect(`{"type":"state","epoch":"E","version":0,"total":0}`)
	}
	a.send("2.50", "x", `{"value":1}`)
	a.expect(`{"type":"reply","epoch":"E","version":1,"total":2.5}`, `{"type":"error","error":"not a number","code":"refused","retry":false}`, `{"type":"reply","epoch":"E","version":2,"total":3.5}`)
	b.expect(`{"type":"update","epoch":"E","version":2,"total":3.5}`) // of a batch the last
	text.expect("3.5")
}

// A machine over WebSocket and one over POST, a screen and an event stream; and after
// fifteen seconds without a reading all that was known is gone.
func TestMeter(t *testing.T) {
	s := start(t, appsConfig)
	machine, screen, stream := s.dial(t, "/power/hall"), s.dial(t, "/power/hall"), s.events(t, "/power/hall")
	stream.expect("count 0 sum 0")
	machine.send(`{"id":"press-4","power":{"watts":"870.50"}}`)
	machine.expect("870.5")
	for _, c := range []interface{ expect(...string) }{screen, stream} {
		c.expect("count 1 sum 870.5 min 870.5 max 870.5 mean 870.5 last 870.5")
	}
	machine.send(`{"id":"press-4","power":{"watts":901}}`)
	machine.expect("901", "press-4 draws 901")
	screen.expect("press-4 draws 901", "count 1 sum 901 min 901 max 901 mean 901 last 901")
	if got := stream.next(); got.name != "event" || got.data != "press-4 draws 901" {
		t.Errorf("the event stream tells of the alert by %+v", got)
	}
	stream.expect("count 1 sum 901 min 901 max 901 mean 901 last 901")
	if got := s.ask(t, "POST", "/power/hall", `{"power":{"watts":1}}`); got.status != 400 || got.body != `error: no field "id": this room wants to know the source of a reading` {
		t.Errorf("a reading without a key is answered with %+v", got)
	}
	screen.expect("high is over for press-4", "count 0 sum 0")
	s.shows(t, "/power/hall", "count 0 sum 0")
}
