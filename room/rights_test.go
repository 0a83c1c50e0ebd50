package room_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/broadcast"
	"github.com/caddyws/caddy-websocket/apps/sum"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/tally"
)

// reader is a visitor that may not send.
func reader(subprotocol string) room.Visitor {
	return room.Visitor{Room: "room", Subprotocol: subprotocol, Rights: room.Rights{ReadOnly: true}}
}

// A member that may only read is told so for each message, whatever it is, and under its
// id. It goes on hearing what the others do.
func TestAReaderIsToldThatItCannotWrite(t *testing.T) {
	w, rt := sumRoom(t)
	counted := tally.NewSet()
	w.CountIn(counted, "memory")
	json, text, writer := w.Enter(rt, reader("json")), w.Enter(rt, reader("")), w.JoinJSON(rt)
	expectFields(t, json, `{"type":"state","version":0,"total":0}`)
	expectFields(t, writer, `{"type":"state","version":0,"total":0}`)
	json.Send(`{"value":5,"id":"a:1"}`, `{"value":5,"id":7}`, "5", "no number")
	expectFields(t, json,
		`{"type":"error","error":"read only","code":"read_only","retry":false,"id":"a:1"}`,
		`{"type":"error","error":"read only","code":"read_only","retry":false,"id":7}`,
		`{"type":"error","error":"read only","code":"read_only","retry":false}`,
		`{"type":"error","error":"read only","code":"read_only","retry":false}`)
	json.SendBinary("5")
	expectFields(t, json, `{"type":"error","error":"read only","code":"read_only","retry":false}`)
	text.Send("5")
	text.Expect("error: read only")
	if n := counted.App("test").Operations()["read_only"]; n != 6 {
		t.Errorf("%d operations are counted as read_only", n)
	}

	writer.Send(`{"value":2,"id":"a:1"}`) // nothing was remembered of that id
	expectFields(t, writer, `{"type":"reply","version":1,"total":2,"id":"a:1"}`)
	expectFields(t, json, `{"type":"update","version":1,"total":2}`)
	text.Expect("2")
}

// So it is in rooms without state, where messages go to everybody.
func TestAReaderPublishesNothing(t *testing.T) {
	w, rt := hubtest.New(t, new(memory.Engine)), hubtest.Route(new(broadcast.App))
	silent, writer := w.Enter(rt, reader("")), w.Join(rt)
	silent.Send("hello")
	silent.Expect("error: read only")
	writer.Send("good evening")
	silent.Expect("good evening")
	writer.Expect("good evening")
}

// A message by a plain request is refused alike.
func TestAReaderAsksNothing(t *testing.T) {
	w, rt := sumRoom(t)
	answer, err := w.Ask(context.Background(), rt, reader("json"), apps.Text("5"), nil)
	if err != nil || !errors.Is(answer.Err, room.ErrReadOnly) || string(answer.Data) != `{"type":"error","error":"read only","code":"read_only","retry":false}` {
		t.Errorf("%+v, %v", answer, err)
	}
	w.Join(rt).Leave()
	hubtest.Post(t, w.Hub, rt, "room", "1", "1")
}

// A member whose permission ends is sent away, and hears nothing of what comes later.
func TestAMemberExpires(t *testing.T) {
	hubtest.InBubble(t, new(memory.Engine), hub.Limits{}, func(t *testing.T, b hubtest.Bubble) {
		rt := hubtest.Route(new(sum.App))
		until := time.Now().Add(time.Minute)
		stays := b.Client(t, rt)
		goes, err := hubtest.Dial(t, b.Hub, rt, room.Visitor{Room: "room", Rights: room.Rights{Expires: until}})
		if err != nil {
			t.Fatal(err)
		}
		if v := goes.Member.View(); v.ReadOnly || v.Expires != until {
			t.Errorf("shown as %+v", v)
		}
		stays.Send("1")
		stays.Expect("1")
		goes.Expect("1")
		time.Sleep(time.Until(until) - 1)
		stays.Send("1")
		goes.Expect("2")
		goes.ExpectClose(frames.Unauthorized)
		if !time.Now().Equal(until) {
			t.Errorf("closed at %v, not at %v", time.Now(), until)
		}
		stays.Expect("2")
		stays.Leave()
	})
}
