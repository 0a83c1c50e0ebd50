package nats

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Someone who puts an older copy of a bucket back makes the rooms run backwards, which a mark
// has to show.
func TestARestoredBucketHasAnotherMark(t *testing.T) {
	n := newNode(t, serverOptions(t))
	n.start()
	testRestore(t, []string{n.url()}, func() {
		n.stop()
		n.start()
	})
}

func TestABucketRestoredInAClusterHasAnotherMark(t *testing.T) {
	c := startCluster(t)
	testRestore(t, c.urls(), func() {
		for _, n := range c {
			n.stop()
			n.start()
		}
	})
}

func testRestore(t *testing.T, urls []string, restart func()) {
	o := &Opener{URLs: urls, Bucket: newBucket()}
	e := openEngine(t, o)
	old, err := e.Swap(bounded(t), key(1), 0, value("old"))
	if err != nil {
		t.Fatal(err)
	}
	conn, js := connect(t, urls[0])
	backdate(t, e.bucket.stream, e.bucket.prefix+markToken, 2*restoreTime)
	backup := snapshot(t, conn, e.bucket.name)
	if _, err := e.Swap(bounded(t), key(1), old, value("new")); err != nil {
		t.Fatal(err)
	}
	mark := e.Mark()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(bounded(t), e.bucket.name); err != nil {
		t.Fatal(err)
	}
	backup.restore(t, conn, e.bucket.name)
	restored := openEngine(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if p, _, err := restored.Load(ctx, key(1)); err != nil || string(p) != "old" {
		t.Errorf("%q, %v", p, err)
	}
	first := restored.Mark()
	if first == mark {
		t.Error("the mark is still the same")
	}
	if err := restored.Close(); err != nil {
		t.Fatal(err)
	}
	restart()
	if again := openEngine(t, o).Mark(); again != first {
		t.Errorf("after a restart of the servers the mark is another one")
	}
}

// If only the log is put back, positions that clients have seen come again: the mark shows it.
func TestARestoredLogHasAnotherMark(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	o := &Opener{URLs: []string{url}, Bucket: newBucket()}
	e := openEngine(t, o)
	storeRoom(t, e, key(1))
	appendTexts(t, e, key(1), 0, "old")
	conn, js := connect(t, url)
	backdate(t, e.logs.stream, e.logs.prefix+markToken, 2*restoreTime)
	backup := snapshot(t, conn, e.logs.name)
	appendTexts(t, e, key(1), 1, "new")
	mark := e.Mark()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(bounded(t), e.logs.name); err != nil {
		t.Fatal(err)
	}
	backup.restore(t, conn, e.logs.name)
	restored := openEngine(t, o)
	expectAll(t, restored, key(1), "old")
	if restored.Mark() == mark {
		t.Error("the mark is still the same")
	}
}

// backdate makes a stream as old as one that is restored usually is.
func backdate(t *testing.T, s *stream, subject string, by time.Duration) {
	t.Helper()
	last, err := s.get(bounded(t), subject)
	if err != nil {
		t.Fatal(err)
	}
	var m markRecord
	if err := json.Unmarshal(last.data, &m); err != nil {
		t.Fatal(err)
	}
	m.Created = s.created.Add(-by)
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.put(bounded(t), subject, last.seq, nats.Header{}, data); err != nil {
		t.Fatal(err)
	}
}

// copied is a copy of a stream, as `nats stream backup` makes it.
type copied struct {
	about struct {
		Config json.RawMessage `json:"config"`
		State  json.RawMessage `json:"state"`
	}
	chunks [][]byte
}

func snapshot(t *testing.T, conn *nats.Conn, stream string) (c copied) {
	t.Helper()
	inbox := conn.NewInbox()
	sub, err := conn.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	about := ask(t, conn, "$JS.API.STREAM.SNAPSHOT."+stream, []byte(`{"no_consumers":true,"deliver_subject":"`+inbox+`"}`))
	if err := json.Unmarshal(about.Data, &c.about); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := sub.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Data) == 0 {
			return c
		}
		c.chunks = append(c.chunks, m.Data)
		if m.Reply != "" {
			if err := m.Respond(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (c copied) restore(t *testing.T, conn *nats.Conn, stream string) {
	t.Helper()
	request, err := json.Marshal(c.about)
	if err != nil {
		t.Fatal(err)
	}
	m := ask(t, conn, "$JS.API.STREAM.RESTORE."+stream, request)
	var answer struct {
		To    string          `json:"deliver_subject"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil || answer.To == "" {
		t.Fatalf("%s, %v", m.Data, err)
	}
	for _, chunk := range append(c.chunks, nil) {
		m = ask(t, conn, answer.To, chunk)
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil || answer.Error != nil {
		t.Fatalf("%s, %v", m.Data, err)
	}
}

// ask returns the answer to a request. A server of a cluster may not know yet that another
// one listens to its subject.
func ask(t *testing.T, conn *nats.Conn, subject string, data []byte) (m *nats.Msg) {
	t.Helper()
	eventually(t, "an answer of "+subject, func() bool {
		var err error
		if m, err = conn.Request(subject, data, patience); err != nil && !errors.Is(err, nats.ErrNoResponders) {
			t.Fatal(err)
		}
		return err == nil
	})
	return m
}
