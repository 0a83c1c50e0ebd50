package nats

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddyws/caddy-websocket/engines"
)

// storeRoom stores a room that has a log.
func storeRoom(t *testing.T, e *Engine, key engines.Key) (rev uint64) {
	t.Helper()
	v := value("x")
	v.Epoch = life
	return swap(t, e, key, 0, v)
}

func appendTexts(t testing.TB, e *Engine, key engines.Key, after uint64, texts ...string) {
	t.Helper()
	var entries [][]byte
	for _, text := range texts {
		entries = append(entries, []byte(text))
	}
	if last, err := (settling{e}).Append(bounded(t), key, life, after, entries); err != nil || last != after+uint64(len(texts)) {
		t.Fatalf("appending %q: %d, %v", texts, last, err)
	}
}

// readAll returns all entries of a log, read in pages.
func readAll(ctx context.Context, e *Engine, key engines.Key, epoch string, page int) (all []string, first, last uint64, err error) {
	for at := uint64(0); ; at = max(at, first-1) + uint64(page) {
		var entries [][]byte
		if entries, first, last, err = e.Read(ctx, key, epoch, at, page); err != nil || len(entries) == 0 {
			return all, first, last, err
		}
		for _, entry := range entries {
			all = append(all, string(entry))
		}
		if len(entries) < page {
			return all, first, last, nil
		}
	}
}

func expectAll(t testing.TB, e *Engine, key engines.Key, want ...string) {
	t.Helper()
	if got, _, _, err := readAll(bounded(t), e, key, life, 7); err != nil || !slices.Equal(got, want) {
		t.Errorf("read %q, %v, want %q", got, err, want)
	}
}

// logged keeps words in the logs of rooms.
type logged struct{ *Engine }

func newLogged(t *testing.T, e *Engine) logged {
	for i := range writersRooms {
		storeRoom(t, e, key(i))
	}
	return logged{e}
}

func (k logged) add(ctx context.Context, key engines.Key, word string) error {
	for {
		_, _, last, err := k.Read(ctx, key, life, 0, 0)
		if err != nil {
			return fmt.Errorf("%w: reading: %w", engines.ErrRefused, err)
		}
		if _, err = k.Append(ctx, key, life, last, [][]byte{[]byte(word)}); !errors.Is(err, engines.ErrConflict) {
			return err
		}
		if ctx.Err() != nil {
			return engines.ErrRefused
		}
	}
}

func (k logged) words(ctx context.Context, key engines.Key) (string, error) {
	all, first, last, err := readAll(ctx, k.Engine, key, life, 50)
	if err == nil && (first != 1 || int(last) != len(all)) {
		err = fmt.Errorf("%d entries from %d to %d", len(all), first, last)
	}
	return strings.Join(all, ""), err
}

func TestARestartedServerLosesNoMessage(t *testing.T) {
	n := newNode(t, serverOptions(t))
	n.start()
	w := startWriters(t, newLogged(t, openEngine(t, &Opener{URLs: []string{n.url()}, Bucket: newBucket()})), patience)
	for range 2 {
		w.progress()
		n.stop()
		n.start()
	}
	w.progress()
	w.finish()
}

func TestAnotherLeaderLosesNoMessage(t *testing.T) {
	c := startCluster(t)
	bucket := newBucket()
	w := startWriters(t, newLogged(t, openEngine(t, &Opener{URLs: c.urls(), Bucket: bucket})), patience)
	var leader *node
	for range 2 {
		w.progress()
		eventually(t, "the log has a leader", func() bool { leader = c.leaderOfStream(logStreamPrefix + bucket); return leader != nil })
		leader.stop()
		w.progress()
		leader.start()
	}
	w.progress()
	w.finish()
}

// What the server answers is lost for 2 s, then the connection.
func TestAcknowledgementsOfMessagesThatAreLost(t *testing.T) {
	s := startServer(t, serverOptions(t))
	p := newProxy(t, s.Addr().String())
	w := startWriters(t, newLogged(t, openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: newBucket()})), 10*time.Second)
	w.progress()
	p.set(func() { p.deaf = true })
	time.Sleep(2 * time.Second)
	p.set(func() { p.deaf = false })
	p.cut()
	w.progress()
	w.finish()
}

// Any page of a long log is what was appended, wherever batches begin and end, and with whatever
// was trimmed.
func TestPagesOfALongLog(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	bucket := newBucket()
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket})
	other := openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket})
	storeRoom(t, e, key(1))
	last, first := 0, 1
	for batch := range 700 {
		entries := make([][]byte, 1+rand.N(4))
		for i := range entries {
			entries[i] = fmt.Append(nil, last+i+1)
		}
		if _, err := e.Append(bounded(t), key(1), life, uint64(last), entries); err != nil {
			t.Fatal(err)
		}
		last += len(entries)
		if batch%90 == 89 {
			upTo := first + rand.N(50)
			if err := other.Trim(bounded(t), key(1), life, uint64(upTo)); err != nil {
				t.Fatal(err)
			}
			first = upTo + 1
		}
	}
	for range 300 {
		after, n := rand.N(last+10), rand.N(60)
		entries, oldest, newest, err := other.Read(bounded(t), key(1), life, uint64(after), n)
		at := max(min(after, last)+1, first)
		if err != nil || int(oldest) != first || int(newest) != last || len(entries) != min(n, last-at+1) {
			t.Fatalf("%d behind %d: %d entries, %d to %d, %v; want %d to %d", n, after, len(entries), oldest, newest, err, first, last)
		}
		for i, entry := range entries {
			if string(entry) != fmt.Sprint(at+i) {
				t.Fatalf("at %d is %q", at+i, entry)
			}
		}
	}
}

// While no server gives messages directly, the leader does.
func TestMessagesAreReadFromTheLeader(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: newBucket()})
	storeRoom(t, e, key(1))
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint(i))
		appendTexts(t, e, key(1), uint64(i), want[i])
	}
	s, err := js.Stream(bounded(t), e.logs.name)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	config.AllowDirect = false
	if _, err := js.UpdateStream(bounded(t), config); err != nil {
		t.Fatal(err)
	}
	expectAll(t, e, key(1), want...)
}

// What is not as it was stored is an error, and never less than there was.
func TestMessagesThatAreDamaged(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: newBucket()})
	for i, damage := range []func(subject string, good stored){
		func(subject string, _ stored) { publish(t, js, &nats.Msg{Subject: subject, Data: []byte("x")}) },
		func(subject string, good stored) {
			publish(t, js, &nats.Msg{Subject: subject, Data: append(slices.Clone(good.data), 1), Header: good.head})
		},
		func(subject string, good stored) {
			publish(t, js, &nats.Msg{Subject: subject, Data: good.data, Header: nats.Header{batchHeader: {"v9 1 2 3 4 5"}}})
		},
	} {
		room := key(i)
		storeRoom(t, e, room)
		appendTexts(t, e, room, 0, "a")
		appendTexts(t, e, room, 1, "b")
		subject, err := e.logs.subject(room, life)
		if err != nil {
			t.Fatal(err)
		}
		good, err := e.logs.get(bounded(t), subject)
		if err != nil {
			t.Fatal(err)
		}
		damage(subject, good)
		if entries, _, _, err := e.Read(bounded(t), room, life, 0, 10); err == nil {
			t.Errorf("%d: read %q", i, entries)
		}
		if _, err := e.Append(bounded(t), room, life, 2, [][]byte{{1}}); !errors.Is(err, engines.ErrRefused) {
			t.Errorf("%d: appending: %v", i, err)
		}
		if err := e.Trim(bounded(t), room, life, 1); err == nil {
			t.Errorf("%d: trimmed", i)
		}
	}
}

func publish(t testing.TB, js jetstream.JetStream, m *nats.Msg) {
	t.Helper()
	for _, header := range []string{jetstream.ExpectedLastSubjSeqHeader, jetstream.ExpectedStreamHeader} {
		m.Header.Del(header)
	}
	if _, err := js.PublishMsg(bounded(t), m); err != nil {
		t.Fatal(err)
	}
}

// A deletion that was cut off between the room and its log leaves the log behind. The next one
// removes it, and so does the first message of the room's next life.
func TestADeletionThatIsCutOff(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: newBucket()})
	const another = "EPOCH.*> TWO"
	for i, goOn := range []func(room engines.Key, rev uint64){
		func(room engines.Key, rev uint64) {
			if err := e.Delete(bounded(t), room, rev); !errors.Is(err, engines.ErrNotFound) {
				t.Error(err)
			}
		},
		func(room engines.Key, _ uint64) {
			v := value("y")
			v.Epoch = another
			swap(t, e, room, 0, v)
			if _, err := e.Append(bounded(t), room, another, 0, [][]byte{[]byte("new")}); err != nil {
				t.Error(err)
			}
			if got, first, last, err := readAll(bounded(t), e, room, another, 5); err != nil || first != 1 || last != 1 || got[0] != "new" {
				t.Errorf("%q, %d to %d, %v", got, first, last, err)
			}
		},
	} {
		room := key(i)
		rev := storeRoom(t, e, room)
		appendTexts(t, e, room, 0, "a", "b")
		subject, err := subjectOf(e.bucket.rooms, room)
		if err != nil {
			t.Fatal(err)
		}
		h := nats.Header{markerHeader: {markerValue}, epochHeader: {epochToken(life)}}
		if _, err := e.bucket.put(bounded(t), subject, rev, h, nil); err != nil {
			t.Fatal(err)
		}
		goOn(room, rev)
		if _, first, last, err := e.Read(bounded(t), room, life, 0, 5); err != nil || first != 1 || last != 0 {
			t.Errorf("%d: the log goes from %d to %d, %v", i, first, last, err)
		}
		if _, err := e.Append(bounded(t), room, life, 2, [][]byte{{1}}); !errors.Is(err, engines.ErrConflict) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// What others have appended while there was no connection is told after it.
func TestMessagesThatWereMissedAreTold(t *testing.T) {
	near, far, p := behind(t)
	storeRoom(t, near, key(1))
	events := subscribe(t, far, key(1))
	appendTexts(t, near, key(1), 0, "a")
	expectAll(t, far, key(1), "a")
	p.set(func() { p.shut = true })
	p.cut()
	eventually(t, "the connection is lost", func() bool { return !far.link.conn().IsConnected() })
	appendTexts(t, near, key(1), 1, "b", "c")
	p.set(func() { p.shut = false })
	for event := receive(t, "what was appended", events); event.Last != 3; event = receive(t, "what was appended", events) {
		if event.Rev == 0 && event.Last != 1 {
			t.Fatalf("told %+v", event)
		}
	}
	expectAll(t, far, key(1), "a", "b", "c")
}

// A log that has lost its newest messages, as after a restore, is said to have; what is added
// then is told, although it has positions that were told before, and found at once.
func TestALogThatLosesItsEnd(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	bucket := newBucket()
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket})
	other := openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket})
	conn, js := connect(t, url)
	for i := range 2 { // the second one is only read here
		storeRoom(t, e, key(i))
		appendTexts(t, e, key(i), 0, "a")
	}
	backup := snapshot(t, conn, e.logs.name)
	events := subscribe(t, e, key(0))
	read := subscribe(t, e, key(1))
	for i, by := range []*Engine{e, other} {
		appendTexts(t, by, key(i), 1, "b", "c")
		appendTexts(t, by, key(i), 3, "d")
	}
	expectAll(t, e, key(1), "a", "b", "c", "d")
	for event := (engines.Event{}); event.Last != 4; event = receive(t, "what was appended", read) {
	}
	lookUp(t, e)
	if err := js.DeleteStream(bounded(t), e.logs.name); err != nil {
		t.Fatal(err)
	}
	backup.restore(t, conn, e.logs.name)
	lookUp(t, e)
	for i, from := range []<-chan engines.Event{events, read} {
		for event := receive(t, "the loss", from); !event.Lost; event = receive(t, "the loss", from) {
			t.Logf("room %d: %+v", i, event)
		}
		appendTexts(t, other, key(i), 1, "B")
		for event := receive(t, "what is new", from); event.Last != 2; event = receive(t, "what is new", from) {
			if event.Last != 1 {
				t.Errorf("room %d: %+v", i, event)
			}
		}
		expectAll(t, e, key(i), "a", "B")
		appendTexts(t, e, key(i), 2, "C")
		subject, err := e.logs.subject(key(i), life)
		if err != nil {
			t.Fatal(err)
		}
		if now := e.known.newest(subject); now.last() != 3 {
			t.Errorf("position %d is remembered as the newest", now.last())
		}
	}
}

// lookUp has all logs looked up.
func lookUp(t *testing.T, e *Engine) {
	t.Helper()
	e.hearing.mistrust()
	for range 2 { // when the second look begins the first one is over
		e.hearing.look()
		eventually(t, "it is looked", func() bool { return len(e.hearing.check) == 0 })
	}
}

// A log that is mistrusted while it is looked up is looked up again.
func TestALogThatIsMistrustedMeanwhile(t *testing.T) {
	h := newHearing()
	h.rooms[key(1)] = &listeners{log: "log", unsure: true}
	if logs, all := h.unsureLogs(); len(logs) != 1 || !all {
		t.Errorf("%v, %v", logs, all)
	}
	if logs, all := h.unsureLogs(); len(logs) != 0 || all {
		t.Errorf("again: %v, %v", logs, all)
	}
	h.mistrust()
	logs, _ := h.unsureLogs()
	if len(logs) != 1 {
		t.Errorf("once mistrusted: %v", logs)
	}
	h.doubt(logs)
	if logs, _ = h.unsureLogs(); len(logs) != 1 {
		t.Errorf("once it could not be looked up: %v", logs)
	}
}

// listened has an engine listen to rooms, each of which has a log, and returns these.
func listened(t *testing.T, e *Engine, rooms int, hear func(engines.Event)) (logs map[engines.Key]string) {
	t.Helper()
	logs = make(map[engines.Key]string)
	for i := range rooms {
		storeRoom(t, e, key(i))
		appendTexts(t, e, key(i), 0, "a")
		subject, err := e.logs.subject(key(i), life)
		if err != nil {
			t.Fatal(err)
		}
		if logs[key(i)] = subject; e.hearing.add(e.link, key(i), e.prefix+".x."+fmt.Sprint(i), &hear) != nil {
			t.Fatal("it is not listened to")
		}
		e.hearing.keep(key(i), subject, 1)
	}
	return logs
}

// Logs are looked up several at a time, so that many of them take no longer than there is.
func TestManyLogsAreLookedUpTogether(t *testing.T) {
	s := startServer(t, serverOptions(t))
	p := newProxy(t, s.Addr().String())
	e := openEngine(t, &Opener{URLs: []string{p.url()}, Bucket: newBucket()})
	logs := listened(t, e, 3*checkLimit, func(engines.Event) {})
	conn, _ := connect(t, s.ClientURL())
	requests, err := conn.SubscribeSync("$JS.API.STREAM.MSG.GET." + e.logs.name)
	if err != nil || conn.Flush() != nil {
		t.Fatal(err)
	}
	p.set(func() { p.deaf = true })
	ctx, cancel := context.WithCancel(t.Context())
	outcome := make(chan error, 1)
	go func() { outcome <- e.checkEach(ctx, logs) }()
	for asked := make(map[string]bool); len(asked) < checkLimit; {
		m, err := requests.NextMsg(patience)
		if err != nil {
			t.Fatalf("%d are asked for: %v", len(asked), err)
		}
		asked[string(m.Data)] = true
	}
	cancel()
	if err := receive(t, "the end", outcome); err == nil || len(logs) != 3*checkLimit {
		t.Errorf("%d are left, %v", len(logs), err)
	}
	p.cut()
	p.set(func() { p.deaf = false })
	if err := e.checkEach(bounded(t), logs); err != nil || len(logs) > 0 {
		t.Errorf("%d are left, %v", len(logs), err)
	}
}

// A log that cannot be looked up does not keep it from the others.
func TestALogThatCannotBeLookedUp(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: newBucket()})
	logs := listened(t, e, 3*checkLimit, func(engines.Event) {})
	publish(t, js, &nats.Msg{Subject: logs[key(7)], Data: []byte("x")})
	if err := e.checkEach(bounded(t), logs); !errors.Is(err, errDamaged) || len(logs) != 1 || logs[key(7)] == "" {
		t.Errorf("%d are left, %v", len(logs), err)
	}
}

// When the time is over before all logs are looked up, that is no error: the rest is next.
func TestMoreLogsThanCanBeLookedUpInTime(t *testing.T) {
	const rooms = 4 * checkLimit
	e := openEngine(t, &Opener{URLs: []string{startServer(t, serverOptions(t)).ClientURL()}, Bucket: newBucket()})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan engines.Event, 10*rooms)
	listened(t, e, rooms, func(event engines.Event) {
		if event.Last == 1 {
			cancel()
			told <- event
		}
	})
	e.hearing.mu.Lock()
	for _, l := range e.hearing.rooms {
		l.unsure, l.appended = true, appended{} // of which nothing was told
	}
	e.hearing.mu.Unlock()
	if err := e.checkLogs(ctx); err != nil {
		t.Error(err)
	}
	for range rooms {
		receive(t, "what a log has", told)
	}
}

// The first message of a log that was found empty is told, also if the hint was lost.
func TestTheFirstMessageOfALogIsMissed(t *testing.T) {
	near, far, p := behind(t)
	storeRoom(t, near, key(1))
	events := subscribe(t, far, key(1))
	expectAll(t, far, key(1))
	p.set(func() { p.shut = true })
	p.cut()
	eventually(t, "the connection is lost", func() bool { return !far.link.conn().IsConnected() })
	appendTexts(t, near, key(1), 0, "a")
	p.set(func() { p.shut = false })
	for event := receive(t, "what was appended", events); event.Last != 1; event = receive(t, "what was appended", events) {
		if event.Rev == 0 {
			t.Fatalf("told %+v", event)
		}
	}
}

// Whoever has made the stream of the logs, its settings have to be such that no message is lost.
func TestLogsThatLoseMessages(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	for want, change := range map[string]func(*jetstream.StreamConfig){
		"messages per subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 },
		"maximum age":          func(c *jetstream.StreamConfig) { c.MaxAge, c.Duplicates = time.Hour, time.Minute },
		"acknowledges":         func(c *jetstream.StreamConfig) { c.NoAck = true },
		"deny_purge":           func(c *jetstream.StreamConfig) { c.DenyPurge = true },
		"allow_direct":         func(c *jetstream.StreamConfig) { c.AllowDirect = false },
		"discards":             func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardOld, 1<<20 },
		"max_msg_size":         func(c *jetstream.StreamConfig) { c.MaxMsgSize = 3000 },
		"prefix":               func(c *jetstream.StreamConfig) { c.RePublish = logSettings("b", "other", 1).RePublish },
	} {
		name := newBucket()
		c := logSettings(name, "websocket."+name, 1)
		change(&c)
		if _, err := js.CreateStream(bounded(t), c); err != nil {
			t.Fatal(want, err)
		}
		e, err := (&Opener{URLs: []string{url}, Bucket: name}).Open(bounded(t))
		if err == nil {
			t.Errorf("%s: it is open", want)
			e.Close()
		} else if !strings.Contains(err.Error(), want) || errors.Is(err, engines.ErrUnavailable) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A stream of logs that is full refuses, and has room again for what is trimmed.
func TestALogThatIsFull(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	bucket := newBucket()
	c := logSettings(bucket, "websocket."+bucket, 1)
	c.MaxBytes = 10_000
	if _, err := js.CreateStream(bounded(t), c); err != nil {
		t.Fatal(err)
	}
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket})
	storeRoom(t, e, key(1))
	large := strings.Repeat("x", 4000)
	appendTexts(t, e, key(1), 0, large)
	appendTexts(t, e, key(1), 1, large)
	if _, err := e.Append(bounded(t), key(1), life, 2, [][]byte{[]byte(large)}); !errors.Is(err, engines.ErrRefused) {
		t.Errorf("a third message: %v", err)
	}
	if err := e.Trim(bounded(t), key(1), life, 1); err != nil {
		t.Fatal(err)
	}
	appendTexts(t, e, key(1), 2, large)
	expectAll(t, e, key(1), large, large)
}

// A stream of logs that is so full that it takes nothing can be trimmed nevertheless. Who reads
// before that is noted sees what there is.
func TestALogThatIsFullToTheBrim(t *testing.T) {
	url := startServer(t, serverOptions(t)).ClientURL()
	_, js := connect(t, url)
	bucket := newBucket()
	if _, err := js.CreateStream(bounded(t), logSettings(bucket, "websocket."+bucket, 1)); err != nil {
		t.Fatal(err)
	}
	e := openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket})
	other := openEngine(t, &Opener{URLs: []string{url}, Bucket: bucket})
	storeRoom(t, e, key(1))
	for i := range 40 {
		appendTexts(t, e, key(1), uint64(2*i), fmt.Sprint(2*i+1), fmt.Sprint(2*i+2))
	}
	expectAll(t, other, key(1), numbers(1, 80)...)
	fill := func() {
		t.Helper()
		s, err := js.Stream(bounded(t), e.logs.name)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		c.MaxBytes = int64(s.CachedInfo().State.Bytes)
		if _, err := js.UpdateStream(bounded(t), c); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	if _, err := e.Append(bounded(t), key(1), life, 80, [][]byte{{1}}); !errors.Is(err, engines.ErrRefused) {
		t.Fatalf("it is not full: %v", err)
	}
	if err := e.Trim(bounded(t), key(1), life, 21); err != nil {
		t.Fatal(err)
	}
	for _, by := range []*Engine{e, other} {
		expectAll(t, by, key(1), numbers(22, 80)...)
	}
	appendTexts(t, other, key(1), 80, "81")
	subject, err := e.logs.subject(key(1), life)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := e.newest(bounded(t), subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.purge(bounded(t), subject, 60, &newest); err != nil { // and nothing is noted
		t.Fatal(err)
	}
	for _, by := range []*Engine{e, other} {
		if got, first, last, err := readAll(bounded(t), by, key(1), life, 100); err != nil || first != 59 || last != 81 || !slices.Equal(got, numbers(59, 81)) {
			t.Errorf("%q, %d to %d, %v", got, first, last, err)
		}
	}
	if err := other.Trim(bounded(t), key(1), life, 70); err != nil {
		t.Fatal(err)
	}
	expectAll(t, e, key(1), numbers(71, 81)...)
}

// A page of large messages is read without fetching many of them at once, also if the newest one
// is short.
func TestPagesOfLargeMessages(t *testing.T) {
	e := openEngine(t, &Opener{URLs: []string{startServer(t, serverOptions(t)).ClientURL()}, Bucket: newBucket()})
	storeRoom(t, e, key(1))
	large := strings.Repeat("x", 900<<10)
	for i := range uint64(16) {
		appendTexts(t, e, key(1), i, large)
	}
	appendTexts(t, e, key(1), 16, "short")
	before := e.link.conn().Stats().InBytes
	entries, _, last, err := e.Read(bounded(t), key(1), life, 0, 100)
	if err != nil || last != 17 || len(entries) != 2 || string(entries[1]) != large {
		t.Fatal(len(entries), last, err)
	}
	if came := e.link.conn().Stats().InBytes - before; came > 6<<20 { // each may come twice
		t.Errorf("%d bytes came", came)
	}
	for after := uint64(2); after < last; after += uint64(len(entries)) {
		if entries, _, _, err = e.Read(bounded(t), key(1), life, after, 100); err != nil || len(entries) == 0 {
			t.Fatal(after, err)
		}
	}
	if string(entries[len(entries)-1]) != "short" {
		t.Error("the last one is not the newest")
	}
}

func numbers(first, last int) (all []string) {
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// The trail of each batch leads to any one before it that is kept, and stays short.
func TestTrails(t *testing.T) {
	const batches = 5000
	all := make([]batch, 1, batches)
	all[0] = batch{first: 1, count: 1, oldest: 1}
	for i := range batches {
		b := &all[len(all)-1]
		b.seq = uint64(10 * (i + 1))
		if len(b.trail) > 60 {
			t.Fatalf("batch %d has a trail of %d", i, len(b.trail))
		}
		oldest := max(b.oldest, rand.N(b.last())/2)
		all = append(all, b.then(oldest, make([][]byte, rand.N(4))))
	}
	for range 2000 {
		from := rand.N(batches)
		b := &all[from]
		if b.oldest > b.last() {
			continue
		}
		position := b.oldest + rand.N(b.last()-b.oldest+1)
		steps := 0
		for {
			i, is := b.trail.find(b.number, position)
			if i == len(b.trail) {
				break
			}
			b = &all[b.trail[i].seq/10-1]
			if steps++; is {
				break
			}
		}
		if position < b.first || position > b.last() || b.count == 0 || steps > 4 {
			t.Fatalf("from batch %d to position %d there are %d steps to the batch %d with %d to %d", from, position, steps, b.number, b.first, b.last())
		}
	}
}

func TestTrailsThatAreDamaged(t *testing.T) {
	whole := trail{{7, 3}, {300, 900}}.appendTo(nil)
	for n := range whole {
		if _, _, err := parseTrail(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are a trail", n, len(whole))
		}
	}
	if got, rest, err := parseTrail(append(whole, 1)); err != nil || len(rest) != 1 || !slices.Equal(got, trail{{7, 3}, {300, 900}}) {
		t.Error(got, rest, err)
	}
	if _, _, err := parseTrail([]byte{0xff, 0xff, 3}); err == nil {
		t.Error("a trail of 65,535 places")
	}
}
