package room_test

import (
	"fmt"
	"testing"

	"github.com/caddyws/caddy-websocket/apps/sum"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
)

// A client that has sent further operations before it reads that its first one is
// refused may send all of them again, in their order. Over another connection the room
// knows nothing of it, nor any more when it was forgotten.
func TestOperationsBehindARefusedOne(t *testing.T) {
	e := hubtest.NewEngine()
	w, rt := hubtest.New(t, e), hubtest.Route(new(sum.App))
	a, b := w.JoinJSON(rt), w.JoinJSON(rt)
	for _, c := range []*hubtest.Client{a, b} {
		expectFields(t, c, `{"type":"state","version":0,"total":0}`)
	}
	e.OnSwap(func(func() error) error { return fmt.Errorf("disk: %w", engines.ErrRefused) })
	a.Send(`{"value":1,"id":"a:1"}`)
	expectFields(t, a, `{"type":"error","error":"unavailable, try again later","code":"unavailable","retry":true,"id":"a:1"}`)
	e.OnSwap(nil)
	unknown := `{"type":"error","error":"this client is not known here: its operations may have counted","code":"unknown_client","retry":false,"id":"a:2"}`
	b.Send(`{"value":2,"id":"a:2"}`)
	expectFields(t, b, unknown)
	a.Send(`{"value":2,"id":"a:2"}`, `{"value":1,"id":"a:1"}`, `{"value":2,"id":"a:2"}`)
	expectFields(t, a,
		`{"type":"error","error":"expected a:1","code":"expected","retry":true,"id":"a:2"}`,
		`{"type":"reply","version":1,"total":1,"id":"a:1"}`,
		`{"type":"reply","version":2,"total":3,"id":"a:2"}`)
	for i := range 1024 {
		a.Send(fmt.Sprintf(`{"value":1,"id":"other%d:1"}`, i))
		if _, err := a.ReadText(); err != nil {
			t.Fatal(err)
		}
	}
	a.Send(`{"value":2,"id":"a:2"}`)
	expectFields(t, a, unknown)
}

// Of the clients of one connection 64 are remembered.
func TestManyClientsBehindRefusedOperations(t *testing.T) {
	e := hubtest.NewEngine()
	w, rt := hubtest.New(t, e), hubtest.Route(new(sum.App))
	c := w.JoinJSON(rt)
	expectFields(t, c, `{"type":"state","version":0,"total":0}`)
	e.OnSwap(func(func() error) error { return fmt.Errorf("disk: %w", engines.ErrRefused) })
	codes := make(map[string]int)
	for n := 1; n <= 2; n++ {
		for i := range 100 {
			c.Send(fmt.Sprintf(`{"value":1,"id":"c%d:%d"}`, i, n))
			said, err := c.ReadSaid()
			if err != nil {
				t.Fatal(err)
			}
			codes[said.Code]++
		}
		e.OnSwap(nil)
	}
	if codes["unavailable"] != 100 || codes["expected"] != 64 || codes["unknown_client"] != 36 {
		t.Errorf("answered with %v", codes)
	}
}
