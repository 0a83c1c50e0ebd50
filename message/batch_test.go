package message

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/frames"
)

var (
	noon   = time.Date(2030, 4, 5, 12, 0, 0, 7e6, time.FixedZone("", 3600))
	said   = Message{Text: []byte("hello"), Sent: noon}
	blob   = Message{Binary: true, Text: []byte{0, 0xff}, Sent: noon, From: ann{"ABC", ""}}
	quoth  = Message{Text: []byte("ann: \"hi\""), JSON: []byte(`{"data":"\"hi\""}`), Sent: noon, From: ann{"ABC", `a"n`}}
	kept   = Message{Text: []byte("<hi>"), At: Point{"ABCDEFGH", 7}, Sent: noon, From: ann{"", ""}}
	stood  = Message{Kind: State, At: Point{"ABCDEFGH", 7}}
	state  = Message{Kind: State, At: Point{"ABCDEFGH", 7}, Text: []byte("10"), JSON: []byte(`{"total":10}`)}
	reply  = Message{Kind: Reply, At: Point{"ABCDEFGH", 8}, Text: []byte("11"), JSON: []byte(`{"total":11}`)}
	update = Message{Kind: Update, At: Point{"ABCDEFGH", 9}, Text: []byte("12"), JSON: []byte(` { } `)}
	alert  = Message{Kind: Event, Name: "alert", At: Point{"ABCDEFGH", 9}, Number: 2, Text: []byte("hot\nvery"), JSON: []byte(`{"max":12}`)}
	stands = Message{Kind: Event, Name: "alert", At: Point{"ABCDEFGH", 9}, Text: []byte("hot"), JSON: []byte(`{}`)}
	gap    = Message{Kind: Gap, At: Point{"ABCDEFGH", 7}, Text: []byte("gap")}
	silent = Message{Kind: Update, At: Point{"ABCDEFGH", 9}}
)

func TestMessagesInEachForm(t *testing.T) {
	tests := []struct {
		name               string
		message            Message
		text, json, events string
	}{
		{"published", said, "\x81\x05hello", "\x81.." + `{"type":"message","time":"2030-04-05T11:00:00.007Z","data":"hello"}`, "data: hello\n\n"},
		{"binary", blob, "\x82\x02\x00\xff", "\x81.." + `{"type":"message","from":{"id":"ABC"},"time":"2030-04-05T11:00:00.007Z","binary":"AP8="}`, "event: binary\ndata: AP8=\n\n"},
		{"nothing published", Message{Sent: noon}, "\x81\x00", "\x81.." + `{"type":"message","time":"2030-04-05T11:00:00.007Z","data":""}`, "data: \n\n"},
		{"published in two formats", quoth, "\x81\x09ann: \"hi\"", "\x81.." + `{"type":"message","from":{"id":"ABC","user":"a\"n"},"time":"2030-04-05T11:00:00.007Z","data":"\"hi\""}`, "data: ann: \"hi\"\n\n"},
		{"kept", kept, "\x81\x04<hi>", "\x81.." + `{"type":"message","epoch":"ABCDEFGH","version":7,"time":"2030-04-05T11:00:00.007Z","data":"\u003chi\u003e"}`, "id: ABCDEFGH-7\ndata: <hi>\n\n"},
		{"where a room stands", stood, "", "\x81.." + `{"type":"state","epoch":"ABCDEFGH","version":7}`, "id: ABCDEFGH-7\n\n"},
		{"state", state, "\x81\x0210", "\x81\x3d" + `{"type":"state","epoch":"ABCDEFGH","version":7,"total":10}`, "id: ABCDEFGH-7\ndata: 10\n\n"},
		{"reply", reply, "\x81\x0211", "\x81\x3d" + `{"type":"reply","epoch":"ABCDEFGH","version":8,"total":11}`, "id: ABCDEFGH-8\ndata: 11\n\n"},
		{"update without fields", update, "\x81\x0212", "\x81\x33" + `{"type":"update","epoch":"ABCDEFGH","version":9}`, "id: ABCDEFGH-9\ndata: 12\n\n"},
		{"alert", alert, "\x81\x08hot\nvery", "\x81\x56" + `{"type":"event","event":"alert","epoch":"ABCDEFGH","version":9,"number":2,"max":12}`, "id: ABCDEFGH-9-2\nevent: event\ndata: hot\ndata: very\n\n"},
		{"event that goes on", stands, "\x81\x03hot", "\x81\x44" + `{"type":"event","event":"alert","epoch":"ABCDEFGH","version":9}`, "event: event\ndata: hot\n\n"},
		{"gap", gap, "\x81\x03gap", "\x81\x2f" + `{"type":"gap","epoch":"ABCDEFGH","oldest":7}`, "event: gap\ndata: gap\n\n"},
		{"nothing to say", silent, "", "\x81\x33" + `{"type":"update","epoch":"ABCDEFGH","version":9}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for format, want := range map[Format]string{Text: test.text, JSON: fixLength(test.json), Events: test.events, JSONEvents: jsonEvent(test.message, test.json)} {
				if got := string(NewBatch(test.message).Bytes(Form{Format: format})); got != want {
					t.Errorf("format %d: %q, expected %q", format, got, want)
				}
			}
		})
	}
}

// jsonEvent is an event whose data is the object of a frame.
func jsonEvent(m Message, frame string) string {
	id := m.EventID()
	if id != "" {
		id = "id: " + id + "\n"
	}
	_, object, _ := strings.Cut(frame, "{")
	return id + "data: {" + object + "\n\n"
}

// fixLength sets the length of the one frame, so that the table need not: in its place are
// something else.
func fixLength(frame string) string {
	_, object, _ := strings.Cut(frame, "{")
	return string(frames.AppendMessage(nil, frames.Opcode(frame[0]&0xf), []byte("{"+object)))
}

// ann is somebody who says something.
type ann struct{ id, user string }

func (a ann) ID() string   { return a.id }
func (a ann) User() string { return a.user }

// What nobody has dated is from now.
func TestPublishedMessagesHaveATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := `{"type":"message","time":"2000-01-01T00:00:00.000Z","data":"x"}`
		if got := string(Message{Text: []byte("x")}.Payload(JSON)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// Each form of a batch is made once, whoever asks for it.
func TestAFormIsEncodedOnce(t *testing.T) {
	b := NewBatch(said, state)
	for _, f := range []Form{{}, {Format: JSON}, {Format: Events}, {Format: JSONEvents}, {Level: 1, Bits: 15}} {
		first, second := b.Bytes(f), b.Bytes(f)
		if &first[0] != &second[0] {
			t.Errorf("%+v was encoded twice", f)
		}
	}
}

func TestSlicesShareTheBytesOfTheBatch(t *testing.T) {
	b := NewBatch()
	all := []Message{said, blob, state, alert, reply}
	for _, m := range all {
		b.Add(m)
	}
	for _, format := range []Format{Text, JSON, Events, JSONEvents} {
		f := Form{Format: format}
		whole := b.Bytes(f)
		for i := range len(all) + 1 {
			for j := i; j <= len(all); j++ {
				part := b.Slice(i, j)
				if want := NewBatch(all[i:j]...).Bytes(f); !bytes.Equal(part.Bytes(f), want) || part.Len() != j-i {
					t.Fatalf("messages %d to %d are %q, expected %q", i, j, part.Bytes(f), want)
				}
				if p := part.Bytes(f); len(p) > 0 && !within(p, whole) {
					t.Fatalf("messages %d to %d are copied", i, j)
				}
			}
		}
	}
	if got, want := b.Slice(1, 5).Slice(1, 3).Bytes(Form{}), NewBatch(state, alert).Bytes(Form{}); !bytes.Equal(got, want) {
		t.Errorf("the slice of a slice is %q, expected %q", got, want)
	}
}

// within reports whether part lies in the memory of whole.
func within(part, whole []byte) bool {
	for i := range whole {
		if &whole[i] == &part[0] {
			return true
		}
	}
	return false
}

func TestNoBatchHasNoMessages(t *testing.T) {
	if n := (*Batch)(nil).Len(); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// Plain text in frames is encoded without growing.
func TestEncodingAsksForItsMemoryOnce(t *testing.T) {
	b := NewBatch(Message{Text: make([]byte, 70000)}, said)
	if p := b.Bytes(Form{}); cap(p)-len(p) > 2*frames.MaxHeaderSize {
		t.Errorf("%d bytes for %d", cap(p), len(p))
	}
}

func TestCompressedForms(t *testing.T) {
	long := strings.Repeat("abcdefgh", 100)
	b := NewBatch(Message{Text: []byte(long)}, said)
	p := b.Bytes(Form{Level: 5, Bits: 15})
	h, n, err := frames.ParseHeader(p)
	if err != nil || h.RSV != frames.RSV1 || h.Length > 100 {
		t.Fatalf("%+v, %v", h, err)
	}
	got, err := frames.AppendInflated(nil, slices.Clone(p[n:n+int(h.Length)]), 1<<20, nil)
	if err != nil || string(got) != long {
		t.Errorf("%q, %v", got, err)
	}
	if rest := p[n+int(h.Length):]; string(rest) != "\x81\x05hello" {
		t.Errorf("a short message is %q", rest)
	}
}

// Control frames are never compressed, and event streams have comments for pings.
func TestControlFramesInEachForm(t *testing.T) {
	for _, test := range []struct {
		form Form
		op   frames.Opcode
		want string
	}{
		{Form{}, frames.Ping, "\x89\x00"},
		{Form{Level: 5, Bits: 15}, frames.Ping, "\x89\x00"},
		{Form{Level: 5, Bits: 15}, frames.Close, "\x88\x00"},
		{Form{Format: Events}, frames.Ping, ":\n\n"},
		{Form{Format: Events}, frames.Pong, ""},
		{Form{Format: Events}, frames.Close, ""},
	} {
		if got := string(test.form.Append(nil, test.op, nil)); got != test.want {
			t.Errorf("opcode %v in %+v is %q, expected %q", test.op, test.form, got, test.want)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct {
		fault Fault
		json  string
	}{
		{Fault{Text: `no "x"`, Code: "refused"}, `{"type":"error","error":"no \"x\"","code":"refused","retry":false}`},
		{Fault{Text: "busy", Code: "busy", Retry: true, ID: []byte(`[1]`), Repeat: true}, `{"type":"error","error":"busy","code":"busy","retry":true,"id":[1],"repeat":true}`},
	} {
		if got := string(test.fault.Payload(JSON)); got != test.json {
			t.Error(got)
		}
		if got := string(test.fault.Payload(Text)); got != "error: "+test.fault.Text {
			t.Error(got)
		}
	}
}

// A reply has the fields of the app between those of the room and those that are about
// the message it answers.
func TestReplies(t *testing.T) {
	reply := Message{Kind: Reply, At: Point{"EPOCH", 7}, Text: []byte("5"), JSON: []byte(` { "total" : 5 } `)}
	for _, test := range []struct {
		id, json string
		repeat   bool
		want     string
	}{
		{"", `{"total":5}`, false, `{"type":"reply","epoch":"EPOCH","version":7,"total":5}`},
		{"", ` { "total": 5 } `, false, `{"type":"reply","epoch":"EPOCH","version":7,"total": 5}`},
		{`"k:1"`, `{"total":5}`, true, `{"type":"reply","epoch":"EPOCH","version":7,"total":5,"id":"k:1","repeat":true}`},
		{`7`, `{}`, false, `{"type":"reply","epoch":"EPOCH","version":7,"id":7}`},
		{``, ``, false, `{"type":"reply","epoch":"EPOCH","version":7}`},
	} {
		reply.ID, reply.JSON, reply.Repeat = []byte(test.id), []byte(test.json), test.repeat
		if got := string(reply.Payload(JSON)); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
		if got := string(reply.Payload(Text)); got != "5" {
			t.Error(got)
		}
	}
}

// No line end of a payload begins a field.
func TestEventsCannotBeForged(t *testing.T) {
	for payload, want := range map[string]string{
		"a\nid: 1":       "data: a\ndata: id: 1\n\n",
		"a\r\nevent: x":  "data: a\ndata: event: x\n\n",
		"a\rdata: y":     "data: a\ndata: data: y\n\n",
		"\n\n":           "data: \ndata: \ndata: \n\n",
		"a\r\r\nb\n\rc":  "data: a\ndata: \ndata: b\ndata: \ndata: c\n\n",
		"ends with CR\r": "data: ends with CR\ndata: \n\n",
	} {
		if got := string(NewBatch(Message{Text: []byte(payload)}).Bytes(Form{Format: Events})); got != want {
			t.Errorf("%q is %q, expected %q", payload, got, want)
		}
	}
}

// A batch is compressed once for all that can read the same.
func TestABatchIsCompressedOncePerWindow(t *testing.T) {
	short, long := NewBatch(Message{Text: bytes.Repeat([]byte("x"), 300)}), NewBatch(Message{Text: bytes.Repeat([]byte("x"), 5000)})
	at := func(b *Batch, level, bits int) *byte { return &b.Bytes(Form{Level: level, Bits: bits})[0] }
	if at(short, 1, 9) != at(short, 1, 15) {
		t.Error("what fits into a window is compressed for it")
	}
	first := at(long, 1, 9)
	if first == at(long, 1, 15) || at(long, 1, 9) != first {
		t.Error("what does not fit is not compressed for its window, or twice")
	}
	if at(long, 1, 15) == at(long, 2, 15) || at(long, 1, 15) == &long.Bytes(Form{})[0] {
		t.Error("levels are taken for each other")
	}
	if tiny := NewBatch(Message{Text: bytes.Repeat([]byte("x"), 200)}); at(tiny, 1, 15) != &tiny.Bytes(Form{})[0] {
		t.Error("what is small is compressed")
	}
	if most := max(len(long.Bytes(Form{})), len(long.Bytes(Form{Level: 1, Bits: 15}))); long.Size() != most {
		t.Errorf("the longest encoding has %d bytes, not %d", long.Size(), most)
	}
}
