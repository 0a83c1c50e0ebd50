package room_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/echo"
	"github.com/caddyws/caddy-websocket/apps/sum"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// sumRoom is a world with a route of a running sum.
func sumRoom(t *testing.T) (*hubtest.World, *route.Route) {
	return hubtest.New(t, new(memory.Engine)), hubtest.Route(new(sum.App))
}

// expectFields reads messages, whose epoch is not compared.
func expectFields(t *testing.T, c *hubtest.Client, wants ...string) {
	t.Helper()
	for _, want := range wants {
		text, err := c.ReadText()
		if err != nil {
			t.Fatal(err)
		}
		before, rest, ok := strings.Cut(text, `"epoch":"`)
		if ok {
			_, after, _ := strings.Cut(rest, `",`)
			text = before + after
		}
		if text != want {
			t.Fatalf("read %s, want %s", text, want)
		}
	}
}

// A repeat is answered with the first answer, over any connection; the present state
// follows if that has gone on.
func TestAnOperationWithAnIDCountsOnce(t *testing.T) {
	w, rt := sumRoom(t)
	a := w.JoinJSON(rt)
	expectFields(t, a, `{"type":"state","version":0,"total":0}`)
	a.Send(`{"value":5,"id":"a:1"}`, `{"value":5,"id":"a:1"}`)
	expectFields(t, a,
		`{"type":"reply","version":1,"total":5,"id":"a:1"}`,
		`{"type":"reply","version":1,"total":5,"id":"a:1","repeat":true}`)
	a.Send(`{"value":6,"id":"a:1"}`, `{"value":1,"id":"a:3"}`, `{"value":1,"id":"b:2"}`)
	expectFields(t, a,
		`{"type":"error","error":"this id was given to another operation","code":"id_reused","retry":false,"id":"a:1"}`,
		`{"type":"error","error":"expected a:2","code":"expected","retry":true,"id":"a:3"}`,
		`{"type":"error","error":"this client is not known here: its operations may have counted","code":"unknown_client","retry":false,"id":"b:2"}`)
	a.Send("2")
	expectFields(t, a, `{"type":"reply","version":2,"total":7}`)
	a.Leave()
	b := w.JoinJSON(rt)
	expectFields(t, b, `{"type":"state","version":2,"total":7}`)
	b.Send(`{"value":5, "id":"a:1"}`)
	expectFields(t, b,
		`{"type":"reply","version":1,"total":5,"id":"a:1","repeat":true}`,
		`{"type":"update","version":2,"total":7}`)
	b.Send(`{"value":1,"id":"a:2"}`, `{"value":5,"id":"a:1"}`)
	expectFields(t, b,
		`{"type":"reply","version":3,"total":8,"id":"a:2"}`,
		`{"type":"reply","version":1,"total":5,"id":"a:1","repeat":true}`,
		`{"type":"update","version":3,"total":8}`)
}

// A refusal of the app is an answer: it uses the number up and is repeated.
func TestARefusalOfTheAppUsesUpItsNumber(t *testing.T) {
	w, rt := sumRoom(t)
	c := w.JoinJSON(rt)
	expectFields(t, c, `{"type":"state","version":0,"total":0}`)
	for _, bad := range []string{`{"value":"x","id":"c:1"}`, `{"value":"1e99","id":"c:2"}`} {
		id := bad[len(bad)-5 : len(bad)-2]
		c.Send(bad, bad)
		first, err := c.ReadText()
		if err != nil || !strings.HasPrefix(first, `{"type":"error"`) || !strings.HasSuffix(first, fmt.Sprintf(`"code":"refused","retry":false,"id":"%s"}`, id)) {
			t.Fatalf("%s is answered with %s, %v", bad, first, err)
		}
		c.Expect(strings.TrimSuffix(first, "}") + `,"repeat":true}`)
	}
	c.Send(`{"value":"y","id":"c:1"}`)
	expectFields(t, c, `{"type":"error","error":"this id was given to another operation","code":"id_reused","retry":false,"id":"c:1"}`)
	c.Send(`{"value":1,"id":"c:3"}`)
	expectFields(t, c, `{"type":"reply","version":1,"total":1,"id":"c:3"}`)
}

// Any other id only says which answer belongs to which message.
func TestOtherIDsAreEchoed(t *testing.T) {
	w, rt := sumRoom(t)
	a, b := w.JoinJSON(rt), w.JoinJSON(rt)
	for _, c := range []*hubtest.Client{a, b} {
		expectFields(t, c, `{"type":"state","version":0,"total":0}`)
	}
	total := 0
	for _, id := range []string{`"1"`, `7`, `{"a":[1]}`, `true`, `"a:0"`, `"a:01"`, `"a b:1"`, `""`, `"` + strings.Repeat("x", 254) + `"`} {
		for _, c := range []*hubtest.Client{a, b} {
			total++
			c.Send(`{"value":1,"id":` + id + `}`)
			expectFields(t, c, fmt.Sprintf(`{"type":"reply","version":%d,"total":%d,"id":%s}`, total, total, id))
			other := map[*hubtest.Client]*hubtest.Client{a: b, b: a}[c]
			expectFields(t, other, fmt.Sprintf(`{"type":"update","version":%d,"total":%d}`, total, total))
		}
	}
	a.Send(`{"value":1,"id":null}`, `{"value":1,"idea":"id"}`, `{"value":1,"id":"`+strings.Repeat("x", 255)+`"}`)
	expectFields(t, a,
		fmt.Sprintf(`{"type":"reply","version":%d,"total":%d}`, total+1, total+1),
		fmt.Sprintf(`{"type":"reply","version":%d,"total":%d}`, total+2, total+2),
		`{"type":"error","error":"the id of a message has at most 256 bytes","code":"bad_id","retry":false}`)
}

// An operation that was made before the room came to the point at which clients were
// forgotten, or in another life of the room, may have counted.
func TestAtIsJudged(t *testing.T) {
	w, rt := sumRoom(t)
	c := w.JoinJSON(rt)
	s, err := c.ReadSaid()
	if err != nil {
		t.Fatal(err)
	}
	c.Send(`{"value":1,"id":"a:1","at":"OTHEREPO-0"}`, `{"value":1,"id":"a:1","at":"`+s.Epoch+`-0"}`, `{"value":1,"id":"b:1","at":"nonsense"}`)
	expectFields(t, c,
		`{"type":"error","error":"may have counted: this is too long ago to know","code":"may_have_counted","retry":false,"id":"a:1"}`,
		`{"type":"reply","version":1,"total":1,"id":"a:1"}`,
		`{"type":"error","error":"a point has the form \u003cepoch\u003e-\u003cversion\u003e","code":"bad_id","retry":false,"id":"b:1"}`)
}

// A POST counts once under its key, and under an ID it is the same operation as over a
// WebSocket. Names of one user are not those of another.
func TestAPostCountsOnce(t *testing.T) {
	w, rt := sumRoom(t)
	post := func(text, key, at, user string) string {
		t.Helper()
		id, err := replica.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		a, err := w.Hub.Ask(context.Background(), rt, room.Visitor{Room: "room", User: user}, apps.Text(text), &room.OperationID{ID: id, At: at})
		if err != nil {
			t.Fatal(err)
		}
		return string(a.Data)
	}
	const key = "0123456789abcdef"
	for _, test := range []struct{ text, key, at, user, want string }{
		{"5", "p:1", "", "", "5"},
		{"5", "p:1", "", "", "5"},
		{" 5", "p:1", "", "", "5"},
		{"1", "p:2", "", "", "6"},
		{"5", "p:1", "", "", "5"},
		{"7", "p:2", "", "", "error: this id was given to another operation"},
		{"1", "p:1", "", "ann", "7"},
		{"1", "p:1", "", "bob", "8"},
		{"1", "p:1", "", "ann", "7"},
		{"1", key, "", "ann", "9"},
		{"1", key, "", "bob", "10"},
		{"1", key, "", "ann", "9"},
		{"2", key, "", "ann", "error: this id was given to another operation"},
		{"x", "q:1", "", "", "error: not a number"},
		{"x", "q:1", "", "", "error: not a number"},
		{"1", "q:2", "", "", "11"},
		{"1", "r:1", "x", "", "error: a point has the form <epoch>-<version>"},
	} {
		if got := post(test.text, test.key, test.at, test.user); got != test.want {
			t.Errorf("%q under %s of %q is answered with %q, want %q", test.text, test.key, test.user, got, test.want)
		}
	}
	c := w.JoinJSON(rt)
	expectFields(t, c, `{"type":"state","version":7,"total":11}`)
	c.Send(`{"value":1,"id":"q:2"}`)
	expectFields(t, c, `{"type":"reply","version":7,"total":11,"id":"q:2","repeat":true}`)
}

// A room that keeps nothing cannot tell repeats, and says so.
func TestARoomWithoutStateRefusesIDs(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	a, err := w.Hub.Ask(context.Background(), hubtest.Route(new(echo.App)), room.Visitor{Room: "room"}, apps.Text("x"), &room.OperationID{ID: replica.ID{Name: "a", N: 1}})
	if err != nil || a.Err == nil || !strings.Contains(string(a.Data), "keeps nothing") {
		t.Errorf("answered with %+v, %v", a, err)
	}
}

// What is wrong about an id is said: nothing with an id counts without it.
func TestIDsThatAreWrong(t *testing.T) {
	w, rt := sumRoom(t)
	c := w.JoinJSON(rt)
	expectFields(t, c, `{"type":"state","version":0,"total":0}`)
	for range 2 {
		c.Send(`{"value":5,"id":"a:1","at":17}`)
		expectFields(t, c, `{"type":"error","error":"the field \"at\" of a message with an id is no text","code":"bad_id","retry":false,"id":"a:1"}`)
	}
	c.Send(`{"value":5,"AT":17,"ID":3,"id":"a:1"}`, `{"value":5,"AT":17,"ID":3,"id":"a:1"}`)
	expectFields(t, c,
		`{"type":"reply","version":1,"total":5,"id":"a:1"}`,
		`{"type":"reply","version":1,"total":5,"id":"a:1","repeat":true}`)
	for range 2 {
		a, err := w.Hub.Ask(context.Background(), rt, room.Visitor{Room: "room"}, apps.Text(`{"value":1,"id":"b:1"}`), nil)
		if err != nil || string(a.Data) != "6" {
			t.Errorf("a POST for text is answered with %q, %v", a.Data, err)
		}
	}
}

// twice applies two operations for each message.
type twice struct{ sum.App }

func (twice) Receive(c apps.Conn, m apps.Message) error {
	c.Room().Apply(c, []byte("1"))
	c.Room().Apply(c, []byte("2"))
	return nil
}

// A message that is to count once has one operation: a second one would count again each
// time.
func TestOneOperationAMessage(t *testing.T) {
	w := hubtest.New(t, new(memory.Engine))
	c := w.JoinJSON(hubtest.Route(new(twice)))
	expectFields(t, c, `{"type":"state","version":0,"total":0}`)
	second := `{"type":"error","error":"a message with an id can have one operation only","code":"bad_id","retry":false}`
	c.Send(`{"id":"a:1"}`, `{"id":"a:1"}`, `{"id":"only for the answer"}`)
	expectFields(t, c,
		`{"type":"reply","version":1,"total":1,"id":"a:1"}`, second,
		`{"type":"reply","version":1,"total":1,"id":"a:1","repeat":true}`, second,
		`{"type":"reply","version":2,"total":2,"id":"only for the answer"}`,
		`{"type":"reply","version":3,"total":4}`)
}
