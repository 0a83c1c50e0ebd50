package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
)

// watcher is told the events of a hub.
type watcher struct {
	mu   sync.Mutex
	told []string
	deaf bool // it cannot be told
	wait chan struct{}
}

func (w *watcher) watch(n room.News) bool {
	w.mu.Lock()
	wait := w.wait
	w.mu.Unlock()
	if wait != nil {
		<-wait
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaf {
		return false
	}
	text := string(n.Body.Text)
	if len(text) > 50 {
		text = text[:50]
	}
	w.told = append(w.told, text)
	if text == "all panic" {
		panic(text)
	}
	return true
}

func (w *watcher) setDeaf(deaf bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = deaf
}

// expect waits until all is told that will be, and compares what it was.
func (w *watcher) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.told, want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
	w.told = nil
}

func (w *watcher) expectInAnyOrder(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	slices.Sort(w.told)
	w.mu.Unlock()
	w.expect(t, want...)
}

// alarmProcess is a process with alarms, over an engine that outlives it.
type alarmProcess struct {
	*hub.Hub
	*watcher
	t      *testing.T
	route  *route.Route
	engine *mortal
	logs   *observer.ObservedLogs
}

// mortal is an engine as a process has it, until that is killed.
type mortal struct {
	engines.Engine
	mu   sync.Mutex
	dead bool
}

var errDead = errors.New("the process is dead")

func (m *mortal) isDead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

func (m *mortal) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	if m.isDead() {
		return nil, 0, errDead
	}
	return m.Engine.Load(ctx, key)
}

func (m *mortal) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	if m.isDead() {
		return 0, engines.ErrRefused
	}
	return m.Engine.Swap(ctx, key, rev, v)
}

func (*mortal) Close() error { return nil }

func newAlarmProcess(t *testing.T, engine engines.Engine, w *watcher) *alarmProcess {
	core, logs := observer.New(zapcore.InfoLevel)
	log := zap.New(core)
	p := &alarmProcess{watcher: w, t: t, route: hubtest.Route(hubtest.NewAlarmApp()), engine: &mortal{Engine: engine}, logs: logs}
	p.Hub = hub.New(hubtest.Opens(p.engine), hub.Limits{}, func() *zap.Logger { return log })
	p.Watch(w.watch)
	return p
}

// start is newAlarmProcess, begun.
func startAlarms(t *testing.T, engine engines.Engine, w *watcher) *alarmProcess {
	p := newAlarmProcess(t, engine, w)
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Begin([]*route.Route{p.route})
	return p
}

func (p *alarmProcess) post(text, want string) {
	p.t.Helper()
	hubtest.Post(p.t, p.Hub, p.route, "room", text, want)
}

// kill ends the process: nothing that it does from now on is stored.
func (p *alarmProcess) kill() {
	p.engine.mu.Lock()
	p.engine.dead = true
	p.engine.mu.Unlock()
	p.end()
}

func (p *alarmProcess) end() {
	p.t.Helper()
	if err := p.Close(time.Second, frames.GoingAway, ""); err != nil {
		p.t.Errorf("closing: %v", err)
	}
}

// An event that was committed and not told when a process was killed is told by the next
// one as soon as it runs, once. Those that come back are told what they have missed.
func TestAnEventIsToldAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, w := new(memory.Engine), new(watcher)
		p := startAlarms(t, engine, w)
		c, err := hubtest.Dial(t, p.Hub, p.route, room.Visitor{Room: "room", Subprotocol: message.Subprotocol})
		if err != nil {
			t.Fatal(err)
		}
		p.post("tell all first", "1")
		var seen room.Seen
		for s := (hubtest.Said{}); s.Type != "event"; {
			if s, err = c.ReadSaid(); err != nil {
				t.Fatal(err)
			}
			seen, _ = room.ParseSeen(s.Epoch + "-1-1")
		}
		w.expect(t, "all first")
		time.Sleep(time.Minute) // that is stored
		w.setDeaf(true)
		p.post("tell all second", "2")
		p.post("op", "3")
		w.expect(t)
		p.kill()
		w.setDeaf(false)

		next := startAlarms(t, engine, w)
		w.expect(t, "all second")
		back, err := hubtest.Dial(t, next.Hub, next.route, room.Visitor{Room: "room", Seen: seen})
		if err != nil {
			t.Fatal(err)
		}
		back.Expect("all second")
		next.post("tell all third", "4")
		back.Expect("all third", "4")
		w.expect(t, "all third")
		next.end()

		last := startAlarms(t, engine, w)
		time.Sleep(time.Hour)
		w.expect(t)
		last.end()
	})
}

// What is told is stored when the room leaves memory, when the hub closes, and a second
// after it; with the next commit before.
func TestThatAnEventIsToldIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, w := new(memory.Engine), new(watcher)
		p := startAlarms(t, engine, w)
		p.post("tell all 1", "1")
		w.expect(t, "all 1")
		if rooms := p.Rooms(); rooms != 1 {
			t.Errorf("%d rooms before it is stored", rooms)
		}
		time.Sleep(2 * time.Second)
		if rooms := p.Rooms(); rooms != 0 {
			t.Errorf("%d rooms after it is stored", rooms)
		}
		p.kill()
		p = startAlarms(t, engine, w)
		p.post("tell all 2", "2")
		w.expect(t, "all 2")
		p.post("op", "3")
		p.kill()
		p = startAlarms(t, engine, w)
		w.expect(t)
		p.post("tell all 3", "4")
		p.end()
		w.expect(t, "all 3")
		p = startAlarms(t, engine, w)
		w.expect(t)
		p.post("tell all 4", "5")
		w.expect(t, "all 4")
		p.kill() // before it was stored: it is told again
		p = startAlarms(t, engine, w)
		w.expect(t, "all 4")
		p.end()
	})
}

// Nothing is told before there is a configuration to be told through: it waits, and does
// not hold up the end either.
func TestEventsWaitForAConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, w := new(memory.Engine), &watcher{deaf: true}
		p := newAlarmProcess(t, engine, w)
		p.post("tell all 1", "1")
		p.post("tell all 2", "2")
		hubtest.Post(t, p.Hub, p.route, "other", "tell all 3", "1")
		w.expect(t)
		w.setDeaf(false)
		p.Begin([]*route.Route{p.route})
		w.expectInAnyOrder(t, "all 1", "all 2", "all 3") // 1 before 2: see TestEventsOfManyRooms
		w.setDeaf(true)
		p.post("tell all 4", "3")
		w.expect(t)
		p.end()
		w.expect(t)
		w.setDeaf(false)
		next := startAlarms(t, engine, w)
		w.expect(t, "all 4")
		next.end()
	})
}

// A watcher that takes its time holds up no commit. What does not find a place is dropped,
// counted, and told to the members all the same. A panic is one event's.
func TestASlowWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{wait: make(chan struct{})}
		p := startAlarms(t, new(memory.Engine), w)
		c, err := hubtest.Dial(t, p.Hub, p.route, room.Visitor{Room: "room"})
		if err != nil {
			t.Fatal(err)
		}
		p.post("tell all panic", "1")
		c.Expect("all panic", "1")
		huge := strings.Repeat("x", 5<<19) // twice, as text and as JSON
		for i := range 5 {
			p.post(fmt.Sprintf("tell all %d%s", i, huge), fmt.Sprint(i+2))
			c.Expect(fmt.Sprintf("all %d%s", i, huge), fmt.Sprint(i+2))
		}
		p.post("tell all last", "7")
		c.Expect("all last", "7")
		synctest.Wait()
		expectDropped := func(events ...int64) {
			t.Helper()
			var logged []int64
			for _, line := range p.logs.FilterMessageSnippet("too many events").All() {
				logged = append(logged, line.ContextMap()["events"].(int64))
			}
			if !slices.Equal(logged, events) {
				t.Errorf("logged %v dropped events, want %v", logged, events)
			}
		}
		expectDropped(1) // at once, though the watcher is still busy
		time.Sleep(time.Second)
		synctest.Wait()
		expectDropped(1, 1)
		close(w.wait)
		x := strings.Repeat("x", 45)
		w.expect(t, "all panic", "all 0"+x, "all 1"+x, "all 2"+x, "all last")
		time.Sleep(time.Minute)
		expectDropped(1, 1)
		if n := p.logs.FilterMessage("telling an event").Len(); n != 1 {
			t.Errorf("%d panics", n)
		}
		if n := p.logs.FilterMessage("room event").Len(); n != 4 {
			t.Errorf("%d lines of events", n)
		}
		p.end()
	})
}

// A watcher that never returns does not hold up the end for longer than it may last.
func TestAWatcherThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, w := new(memory.Engine), &watcher{wait: make(chan struct{})}
		p := startAlarms(t, engine, w)
		p.post("tell all 1", "1")
		p.post("tell all 2", "2")
		synctest.Wait()
		before := time.Now()
		if err := p.Close(time.Second, frames.GoingAway, ""); !errors.Is(err, hub.ErrUnfinished) || time.Since(before) > 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(before))
		}
		close(w.wait)
		w.expect(t, "all 1")
		p = startAlarms(t, engine, &watcher{})
		p.expect(t, "all 1", "all 2")
		p.end()
	})
}

// Many rooms have their events told, each in its order.
func TestEventsOfManyRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(watcher)
		p := startAlarms(t, new(memory.Engine), w)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				for n := range 20 {
					hubtest.Post(t, p.Hub, p.route, fmt.Sprint("room", i), fmt.Sprintf("tell all %d of %d", n, i), fmt.Sprint(n+1))
				}
			})
		}
		all.Wait()
		synctest.Wait()
		next := make(map[string]int)
		for _, told := range w.told {
			var n, i int
			if _, err := fmt.Sscanf(told, "all %d of %d", &n, &i); err != nil {
				t.Fatal(err)
			}
			if name := fmt.Sprint(i); next[name] != n {
				t.Fatalf("%q comes when %d is next", told, next[name])
			} else {
				next[name]++
			}
		}
		if len(w.told) != 1000 {
			t.Errorf("told %d events", len(w.told))
		}
		p.end()
	})
}

// Events that another process has led to are told to the members of this one when it sees
// them, before its own.
func TestEventsOfAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := new(memory.Engine)
		here, there := startAlarms(t, engine, new(watcher)), startAlarms(t, engine, new(watcher))
		c, err := hubtest.Dial(t, here.Hub, here.route, room.Visitor{Room: "room", Claims: []string{"press"}})
		if err != nil {
			t.Fatal(err)
		}
		here.post("tell all 1", "1")
		c.Expect("all 1", "1")
		there.post("tell press 2", "2")
		there.post("tell hall 3", "3")
		there.post("tell all 4", "4")
		here.post("tell all 5", "5")
		c.Expect("press 2", "all 4", "all 5", "5")
		here.end()
		there.end()
	})
}
