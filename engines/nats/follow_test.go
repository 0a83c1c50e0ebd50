package nats

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddyws/caddy-websocket/engines"
)

// pair returns two engines over one bucket, as two nodes have them.
func pair(t *testing.T) (a, b *Engine) {
	t.Helper()
	o := &Opener{URLs: []string{startServer(t, serverOptions(t)).ClientURL()}, Bucket: newBucket()}
	return openEngine(t, o), openEngine(t, o)
}

func swap(t *testing.T, e *Engine, key engines.Key, rev uint64, v engines.Value) uint64 {
	t.Helper()
	now, err := settling{e}.Swap(bounded(t), key, rev, v)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func expectCount(t *testing.T, e *Engine, want int) {
	t.Helper()
	if n, err := e.Count(bounded(t)); err != nil || n != want {
		t.Errorf("%d rooms, %v; want %d", n, err, want)
	}
}

func expectDue(t *testing.T, e *Engine, want ...engines.Key) {
	t.Helper()
	wakes, err := e.Due(bounded(t), today.Add(time.Hour), engines.Wake{}, 10)
	if err != nil || len(wakes) != len(want) {
		t.Errorf("due: %v, %v; want %v", wakes, err, want)
		return
	}
	for i := range want {
		if wakes[i].Key != want[i] {
			t.Errorf("due: %v; want %v", wakes, want)
		}
	}
}

// What one node stores, another finds.
func TestNodesKnowTheRoomsOfOthers(t *testing.T) {
	a, b := pair(t)
	due := engines.Value{State: []byte("x"), Used: today, Wake: today}
	expectCount(t, b, 0)
	one := swap(t, a, key(1), 0, due)
	swap(t, b, key(2), 0, due)
	for _, e := range []*Engine{a, b} {
		expectCount(t, e, 2)
		expectDue(t, e, key(1), key(2))
	}
	one = swap(t, b, key(1), one, value("woken"))
	expectDue(t, a, key(2))
	if err := a.Delete(bounded(t), key(1), one); err != nil {
		t.Fatal(err)
	}
	expectCount(t, b, 1)
	swap(t, b, key(1), 0, due)
	expectDue(t, a, key(1), key(2))
	if uses, err := a.Unused(bounded(t), today.Add(2*time.Hour), engines.Use{}, 10); err != nil || len(uses) != 2 {
		t.Errorf("%v, %v", uses, err)
	}
}

// More rooms than are read at once.
func TestManyRoomsAreRead(t *testing.T) {
	const rooms = 2*readPage + 500
	a, b := pair(t)
	var work sync.WaitGroup
	for w := range 10 {
		work.Go(func() {
			for i := w; i < rooms; i += 10 {
				if _, err := a.Swap(bounded(t), key(i), 0, value("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	expectCount(t, b, rooms)
	expectCount(t, a, rooms)
}

// Headers that were sent and did not arrive are read again.
func TestHeadersThatAreLost(t *testing.T) {
	a, b := pair(t)
	swap(t, a, key(0), 0, value("x"))
	expectCount(t, b, 1)
	for i := range 3 {
		swap(t, a, key(i+1), 0, value("x"))
		stolen, err := b.follower.consumer.Fetch(1, jetstream.FetchMaxWait(patience)) // by somebody else
		if err != nil {
			t.Fatal(err)
		}
		if m := <-stolen.Messages(); m == nil {
			t.Fatal("there is nothing to lose")
		}
		swap(t, a, key(i+101), 0, value("x"))
		expectCount(t, b, 2*i+3)
	}
}

// Servers end a consumer that nobody asks, or that they cannot keep.
func TestAConsumerThatIsGone(t *testing.T) {
	a, b := pair(t)
	swap(t, a, key(0), 0, value("x"))
	expectCount(t, b, 1)
	info, err := b.follower.consumer.Info(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.link.read(bounded(t), "$JS.API.CONSUMER.DELETE."+b.bucket.name+"."+info.Name, nil); err != nil {
		t.Fatal(err)
	}
	swap(t, a, key(1), 0, value("x"))
	expectCount(t, b, 2)
}

// After a long time markers may have come and gone unseen.
func TestAnIndexThatIsTooOld(t *testing.T) {
	a, b := pair(t)
	swap(t, a, key(0), 0, value("x"))
	expectCount(t, b, 1)
	b.index.put(key(1), 1<<40, times{}) // its marker has vanished
	expectCount(t, b, 2)
	b.follower.fresh = b.follower.fresh.Add(-staleAfter - time.Minute)
	expectCount(t, b, 1)
}

// Reading anew goes on where it was cut off, or many rooms would never be read.
func TestReadingAnewIsCutOff(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	name := newBucket()
	c := bare(name)
	c.MaxConsumers = 1 // so that another one cannot be made
	if _, err := js.CreateStream(bounded(t), c); err != nil {
		t.Fatal(err)
	}
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: name})
	swap(t, e, key(0), 0, value("x"))
	expectCount(t, e, 1)
	info, err := e.follower.consumer.Info(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	e.follower.fresh = e.follower.fresh.Add(-staleAfter - time.Minute)
	if n, err := e.Count(bounded(t)); err == nil {
		t.Fatalf("%d rooms without a consumer", n)
	}
	e.index.put(key(1), 1<<40, times{}) // stands for what was read until then
	if err := js.DeleteConsumer(bounded(t), c.Name, info.Name); err != nil {
		t.Fatal(err)
	}
	expectCount(t, e, 2)
}

// What the servers send is lost for longer than any message is waited for. Nothing of it is
// taken to be read.
func TestAnIndexHasNoHoles(t *testing.T) {
	near, far, p := behind(t)
	swap(t, near, key(0), 0, value("x"))
	expectCount(t, far, 1)
	last := swap(t, near, key(1), 0, engines.Value{State: []byte("x"), Used: today, Wake: today})
	p.set(func() { p.deaf = true })
	ctx, cancel := context.WithTimeout(t.Context(), lagLimit+2*time.Second)
	defer cancel()
	if err := far.readTo(ctx, last); err == nil {
		t.Error("it was read by one that hears nothing")
	}
	p.set(func() { p.deaf = false })
	p.cut()
	expectDue(t, far, key(1))
}

// The newest message of the stream may be a marker at the end of its life.
func TestAMarkerThatHasVanished(t *testing.T) {
	a, b := pair(t)
	rev := swap(t, a, key(0), 0, value("x"))
	subject, err := subjectOf(a.bucket.rooms, key(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.bucket.put(bounded(t), subject, rev, nats.Header{markerHeader: {markerValue}, ttlHeader: {"1s"}}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the marker vanishes", func() bool {
		s, err := a.bucket.get(bounded(t), subject)
		return err == nil && s.seq == 0
	})
	expectCount(t, b, 0)
	last := swap(t, b, key(0), 0, value("again"))
	if last <= rev+1 {
		t.Errorf("revision %d after %d", last, rev+1)
	}
	if keys, err := b.List(bounded(t), engines.Key{}, 10); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}

// Rooms that an operator has purged are known no more: at once if they are many, else once
// somebody has looked for one.
func TestRoomsThatWerePurged(t *testing.T) {
	a, _ := pair(t)
	for i := range 4 {
		swap(t, a, key(i), 0, value("x"))
	}
	expectCount(t, a, 4)
	_, js := connect(t, a.link.conn().ConnectedUrl())
	s, err := js.Stream(bounded(t), a.bucket.name)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := subjectOf(a.bucket.rooms, key(1))
	if err := s.Purge(bounded(t), jetstream.WithPurgeSubject(one)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Load(bounded(t), key(1)); !errors.Is(err, engines.ErrNotFound) {
		t.Error(err)
	}
	expectCount(t, a, 3)
	if err := s.Purge(bounded(t)); err != nil {
		t.Fatal(err)
	}
	expectCount(t, a, 0)
	swap(t, a, key(1), 0, value("x"))
	expectCount(t, a, 1)
}

// Servers whose disks were set back have lost the newest changes. Those that come instead of
// them have revisions that were told and read before.
func TestServersThatLoseTheNewestChanges(t *testing.T) {
	options := serverOptions(t)
	n, bucket := newNode(t, options), newBucket()
	n.start()
	a := openEngine(t, &Opener{URLs: []string{n.url()}, Bucket: bucket})
	b := openEngine(t, &Opener{URLs: []string{n.url()}, Bucket: bucket})
	events := subscribe(t, b, key(1))
	rev := swap(t, a, key(1), 0, value("x"))
	n.stop()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(options.StoreDir)); err != nil {
		t.Fatal(err)
	}
	n.start()
	swap(t, a, key(2), 0, value("x"))
	lost := swap(t, a, key(1), rev, value("y"))
	expectRev(t, events, lost)
	expectCount(t, b, 2)
	n.stop()
	if err := errors.Join(os.RemoveAll(options.StoreDir), os.Rename(old, options.StoreDir)); err != nil {
		t.Fatal(err)
	}
	n.start()
	expectCount(t, b, 1)
	if event := receive(t, "the loss", events); !event.Lost {
		t.Errorf("told %+v, want the loss", event)
	}
	rev = swap(t, a, key(1), rev, engines.Value{State: []byte("z"), Used: today, Wake: today})
	if rev >= lost {
		t.Fatalf("revision %d, lost %d: nothing was lost", rev, lost)
	}
	if event := receive(t, "the change", events); event.Rev != rev {
		t.Errorf("told %+v, want revision %d", event, rev)
	}
	expectDue(t, b, key(1))
	swap(t, a, key(3), 0, value("x"))
	expectCount(t, b, 2)
}
