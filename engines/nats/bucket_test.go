package nats

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddyws/caddy-websocket/engines"
)

// connect returns a client of the test's own.
func connect(t testing.TB, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

// bare is a bucket that does not tell of changes yet.
func bare(name string) jetstream.StreamConfig {
	c := settings(name, "", 1)
	c.RePublish = nil
	return c
}

// Whoever has made the bucket, its settings have to be such that no room is lost.
func TestBucketsThatLoseRooms(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	for want, change := range map[string]func(*jetstream.StreamConfig){
		"history":           func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 },
		"maximum age":       func(c *jetstream.StreamConfig) { c.MaxAge, c.Duplicates = time.Hour, time.Minute },
		"acknowledges":      func(c *jetstream.StreamConfig) { c.NoAck = true },
		"time to live":      func(c *jetstream.StreamConfig) { c.AllowMsgTTL = false },
		"discards":          func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardOld, 1<<20 },
		"retention":         func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"subjects":          func(c *jetstream.StreamConfig) { c.Subjects = []string{c.Subjects[0], "more." + c.Name} },
		"prefix":            func(c *jetstream.StreamConfig) { c.RePublish = republish("b", "other") },
		"max_msg_size":      func(c *jetstream.StreamConfig) { c.MaxMsgSize = 3000 },
		"history, which ha": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.MaxAge = -1, time.Hour },
	} {
		name := newBucket()
		c := bare(name)
		change(&c)
		if _, err := js.CreateStream(bounded(t), c); err != nil {
			t.Fatal(want, err)
		}
		e, err := (&Opener{URLs: []string{url}, Bucket: name}).Open(bounded(t))
		if err == nil {
			t.Errorf("%s: it is open", want)
			e.Close()
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) || errors.Is(err, engines.ErrUnavailable) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// The key-value clients of NATS know the bucket, and one that they made does.
func TestABucketOfOthers(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	name := newBucket()
	if _, err := js.CreateKeyValue(bounded(t), jetstream.KeyValueConfig{Bucket: name, LimitMarkerTTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: name})
	rev, err := e.Swap(bounded(t), engines.Key{App: "sum", Room: "example.com/a"}, 0, value("state"))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(bounded(t), name)
	if err != nil {
		t.Fatal(err)
	}
	const record = "room.sum.example=2ecom/a"
	got, err := kv.Get(bounded(t), record)
	if err != nil || string(got.Value()) != "state" || got.Revision() != rev {
		t.Errorf("%v, %v", got, err)
	}
	for _, remove := range []func(context.Context, string, ...jetstream.KVDeleteOpt) error{kv.Delete, kv.Purge} {
		if err := remove(bounded(t), record); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.Load(bounded(t), engines.Key{App: "sum", Room: "example.com/a"}); !errors.Is(err, engines.ErrNotFound) {
			t.Error(err)
		}
		if n, err := e.Count(bounded(t)); err != nil || n != 0 {
			t.Errorf("%d rooms, %v", n, err)
		}
		if _, err := e.Swap(bounded(t), engines.Key{App: "sum", Room: "example.com/a"}, 0, value("again")); err != nil {
			t.Error(err)
		}
	}
}

func TestDoubtsAboutABucket(t *testing.T) {
	sound := settings("b", "websocket.test", 3)
	for want, change := range map[string]func(c *jetstream.StreamConfig){
		"5 replicas, not the 3": func(c *jetstream.StreamConfig) { c.Replicas = 5 },
		"one replica":           func(c *jetstream.StreamConfig) { c.Replicas = 1 },
		"in memory":             func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"persist mode":          func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
	} {
		c := sound
		change(&c)
		if got := strings.Join(doubts("the bucket b", c, 3, true), "\n"); !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if got := doubts("the bucket b", sound, 3, true); len(got) != 0 {
		t.Error(got)
	}
	if got := doubts("the bucket b", settings("b", "websocket.test", 1), 0, false); len(got) != 0 {
		t.Error(got)
	}
}

func TestReplicasInAServerThatIsAlone(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, err := (&Opener{URLs: []string{url}, Bucket: newBucket(), Replicas: 3}).Open(bounded(t))
	if err == nil || !strings.Contains(err.Error(), "replicas 3 needs a cluster") {
		t.Error(err)
	}
}

// By default a bucket has three replicas in a cluster, also if all nodes open it at once.
func TestNodesCreateABucketTogether(t *testing.T) {
	c := startCluster(t)
	name := newBucket()
	var work sync.WaitGroup
	opened := make([]*Engine, len(c))
	for i, n := range c {
		work.Go(func() { opened[i] = openEngine(t, &Opener{URLs: []string{n.url()}, Bucket: name}) })
	}
	work.Wait()
	marks := make(map[string]bool)
	for _, e := range opened {
		if e == nil {
			t.Fatal("a node has not opened the bucket")
		}
		marks[e.Mark()] = true
	}
	if len(marks) != 1 {
		t.Errorf("the nodes have %d marks", len(marks))
	}
	_, js := connect(t, c[0].url())
	s, err := js.Stream(bounded(t), streamPrefix+name)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.CachedInfo().Config.Replicas; r != 3 {
		t.Errorf("%d replicas", r)
	}
}

// A bucket that is full refuses, goes on with what replaces as much, and has room again for
// what is deleted.
func TestABucketThatIsFull(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	c := bare(newBucket())
	c.MaxBytes = 10_000
	if _, err := js.CreateStream(bounded(t), c); err != nil {
		t.Fatal(err)
	}
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: strings.TrimPrefix(c.Name, streamPrefix)})
	large := string(bytes.Repeat([]byte("x"), 4000))
	a, err := e.Swap(bounded(t), key(1), 0, value(large))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Swap(bounded(t), key(2), 0, value(large)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Swap(bounded(t), key(3), 0, value(large)); !errors.Is(err, engines.ErrRefused) {
		t.Errorf("a third room: %v", err)
	}
	if err := e.Delete(bounded(t), key(1), a); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Swap(bounded(t), key(3), 0, value(large)); err != nil {
		t.Errorf("after one was deleted: %v", err)
	}
}

// MaxState follows what the server and the bucket take.
func TestTheLargestState(t *testing.T) {
	o := serverOptions(t)
	o.MaxPayload = 64 << 10
	url := startServer(t, o).ClientURL()
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: newBucket()})
	if n := e.MaxState(); n != 64<<10-headroom {
		t.Errorf("MaxState is %d", n)
	}
	longest := engines.Key{App: "a", Room: string(bytes.Repeat([]byte("\x00"), maxName-1))}
	rev, err := e.Swap(bounded(t), longest, 0, engines.Value{State: make([]byte, e.MaxState()), Wake: time.Unix(1<<40, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if p, now, err := e.Load(bounded(t), longest); err != nil || len(p) != e.MaxState() || now != rev {
		t.Errorf("%d bytes at %d, %v", len(p), now, err)
	}
	small := serverOptions(t)
	small.MaxPayload = 2 << 10
	if _, err := (&Opener{URLs: []string{startServer(t, small).ClientURL()}, Bucket: newBucket()}).Open(bounded(t)); err == nil {
		t.Error("it is open with a max_payload of 2 KiB")
	}
}

// What somebody else writes in the place of a room, or under another room's subject, is
// neither shown nor overwritten.
func TestRecordsThatAreDamaged(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	conn, js := connect(t, url)
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: newBucket()})
	if _, err := e.Swap(bounded(t), key(0), 0, value("state")); err != nil {
		t.Fatal(err)
	}
	subject, err := subjectOf(e.bucket.rooms, key(0))
	if err != nil {
		t.Fatal(err)
	}
	good, err := e.bucket.get(bounded(t), subject)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range []*nats.Msg{
		{Data: []byte("state")},
		{Data: []byte("state!"), Header: good.head},
		{Data: []byte("state"), Header: good.head}, // of another room
		{Data: []byte("state"), Header: nats.Header{roomHeader: {"v9 1 2 3"}}},
		{Data: []byte("state"), Header: nats.Header{roomHeader: {"v1 x y z"}}},
	} {
		room := key(i + 1)
		if m.Subject, err = subjectOf(e.bucket.rooms, room); err != nil {
			t.Fatal(err)
		}
		ack, err := js.PublishMsg(bounded(t), m)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.Load(bounded(t), room); err == nil || errors.Is(err, engines.ErrNotFound) {
			t.Errorf("%d: loading: %v", i, err)
		}
		if _, err := e.Swap(bounded(t), room, 0, value("x")); !errors.Is(err, engines.ErrRefused) {
			t.Errorf("%d: swapping: %v", i, err)
		}
		if err := e.Delete(bounded(t), room, ack.Sequence-1); err == nil {
			t.Errorf("%d: deleted", i)
		}
	}
	if err := conn.Publish(e.bucket.rooms+"no.room.at.all", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.List(bounded(t), engines.Key{}, 10); err != nil {
		t.Error(err)
	}
}

// A bucket that is not the one that was opened is not written to.
func TestABucketThatIsReplaced(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	o := &Opener{URLs: []string{url}, Bucket: newBucket()}
	e := openEngine(t, o)
	mark := e.Mark()
	if again := openEngine(t, o).Mark(); again != mark || mark == "" {
		t.Errorf("the mark was %q and is %q", mark, again)
	}
	if err := js.DeleteStream(bounded(t), e.bucket.name); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is refused without a bucket", func() bool { // a request under way may be unknown first
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := e.Swap(ctx, key(1), 0, value("x"))
		if err == nil {
			t.Fatal("it is stored without a bucket")
		}
		return errors.Is(err, engines.ErrRefused)
	})
	if again := openEngine(t, o).Mark(); again == mark {
		t.Error("a new bucket has the mark of the one before")
	}
	e.bucket.created = e.bucket.created.Add(-2 * restoreTime) // as it usually is
	if _, err := e.Count(bounded(t)); !errors.Is(err, errReplaced) {
		t.Error(err)
	}
	if _, err := e.Swap(bounded(t), key(1), 0, value("x")); !errors.Is(err, engines.ErrRefused) {
		t.Errorf("into another bucket: %v", err)
	}
	if _, _, err := e.Load(bounded(t), key(1)); !errors.Is(err, errReplaced) {
		t.Errorf("from another bucket: %v", err)
	}
}

func TestVersionsOfServers(t *testing.T) {
	for version, want := range map[string]bool{"2.10.22": false, "1.4.1": false, "": false, "x": false, "2.11.17": false, "2.12.0": true, "2.15.2-beta.1": true, "3.0.0": true} {
		if isRecent(version) != want {
			t.Errorf("%q: %v", version, !want)
		}
	}
}
