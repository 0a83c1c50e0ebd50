package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/meter"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/hub/hubtest"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// pollApp is a poll that closes some time, an option, after its first vote. A message is a
// vote.
type pollApp struct {
	lasts   time.Duration
	insists bool // it is to be woken for ever
}

func (pollApp) Inline()                {}
func (a pollApp) NewState() apps.State { return &poll{app: a} }

func (pollApp) Receive(c apps.Conn, m apps.Message) error {
	c.Room().Apply(c, m.Data)
	return nil
}

// poll is the state.
type poll struct {
	app    pollApp
	votes  int
	opened time.Time
	closed []time.Duration // after it was opened: each wake
}

func (p *poll) Wake() time.Time {
	if p.opened.IsZero() || p.app.lasts == 0 || len(p.closed) > 0 && !p.app.insists {
		return time.Time{}
	}
	return p.opened.Add(p.app.lasts)
}

func (p *poll) Apply(op apps.Op) (apps.Outcome, error) {
	switch {
	case op.Wake:
		p.closed = append(p.closed, op.At.Sub(p.opened))
	case len(p.closed) > 0:
		return apps.Outcome{}, errors.New("closed")
	default:
		if p.opened.IsZero() {
			p.opened = op.At
		}
		p.votes++
	}
	return apps.Outcome{Reply: p.View(), Update: p.View()}, nil
}

func (p *poll) View() apps.Body {
	text := fmt.Sprint(p.votes)
	for _, at := range p.closed {
		text += fmt.Sprint(" closed after ", at)
	}
	return apps.Body{Text: []byte(text)}
}

func (p *poll) MarshalBinary() ([]byte, error) {
	var opened int64
	if !p.opened.IsZero() {
		opened = p.opened.UnixNano()
	}
	text := fmt.Sprint(p.votes, " ", opened)
	for _, at := range p.closed {
		text += fmt.Sprint(" ", int64(at))
	}
	return []byte(text), nil
}

func (p *poll) UnmarshalBinary(b []byte) error {
	fields := strings.Fields(string(b))
	var opened int64
	if _, err := fmt.Sscan(fields[0]+" "+fields[1], &p.votes, &opened); err != nil {
		return err
	}
	if opened != 0 {
		p.opened = time.Unix(0, opened).UTC()
	}
	for _, field := range fields[2:] {
		var at time.Duration
		if _, err := fmt.Sscan(field, (*int64)(&at)); err != nil {
			return err
		}
		p.closed = append(p.closed, at)
	}
	return nil
}

func pollRoute(name string, app pollApp) *route.Route {
	return route.New(name, "test", route.Config{App: app, Named: true, Settings: socket.Settings{MaxMessageSize: 1000, MaxQueue: 64 << 10}})
}

// pollHouse is a process with polls, and the clock of its machine.
type pollHouse struct {
	*hub.Hub
	t      *testing.T
	engine engines.Engine
	routes []*route.Route
	logs   *observer.ObservedLogs

	mu     sync.Mutex
	offset time.Duration // guarded by mu; of the clock
}

func (p *pollHouse) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.offset)
}

// set sets the clock forward, or back.
func (p *pollHouse) set(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offset += by
}

// start begins a process.
func (p *pollHouse) start(routes ...*route.Route) {
	p.t.Helper()
	core, logs := observer.New(zap.ErrorLevel)
	log := zap.New(core)
	p.Hub, p.routes, p.logs = hub.New(hubtest.Opens(p.engine), hub.Limits{}, func() *zap.Logger { return log }), routes, logs
	p.SetClock(p.now)
	if err := p.Open(context.Background()); err != nil {
		p.t.Fatal(err)
	}
	synctest.Wait() // its routes are told when the configuration has started
	p.Begin(routes)
}

func (p *pollHouse) stop() {
	p.t.Helper()
	if failed := lines(p.logs, "waking a room"); failed > 0 {
		p.t.Errorf("%d lines of rooms that could not be woken", failed)
	}
	if err := p.Close(hubtest.Patience, frames.GoingAway, ""); err != nil {
		p.t.Error(err)
	}
}

// reload replaces the routes.
func (p *pollHouse) reload(routes ...*route.Route) {
	p.Adopt(p.routes, routes, hub.Limits{})
	p.routes = routes
}

// vote votes in a room that nobody else is in.
func (p *pollHouse) vote(rt *route.Route, name string) string {
	p.t.Helper()
	answer, err := p.Ask(context.Background(), rt, room.Visitor{Room: name}, apps.Text("vote"), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(answer.Data)
}

// stored is the state of a room, which it does not load.
func (p *pollHouse) stored(name string) string {
	p.t.Helper()
	synctest.Wait()
	r := replica.New(engines.Key{App: "test", Room: name}, &replica.Store{Engine: p.engine}, func(err error) { p.t.Error(err) })
	if err := r.Load(context.Background(), hourly, "poll"); err != nil {
		p.t.Fatal(err)
	}
	return string(r.Snapshot().View.Text)
}

func (p *pollHouse) expect(name, want string) {
	p.t.Helper()
	if got := p.stored(name); got != want {
		p.t.Errorf("%s is %q at %v, want %q", name, got, p.now(), want)
	}
}

func (p *pollHouse) expectPrefix(name, want string) {
	p.t.Helper()
	if got := p.stored(name); !strings.HasPrefix(got, want) {
		p.t.Errorf("%s is %q at %v, want %q and more", name, got, p.now(), want)
	}
}

// inPolls runs a test over an engine that outlives the processes.
func inPolls(t *testing.T, test func(t *testing.T, p *pollHouse)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pollHouse{t: t, engine: &lasting{Engine: new(memory.Engine)}}
		test(t, p)
	})
}

var hourly = pollApp{lasts: time.Hour}

func TestPollClosesAloneInAnEmptyRoom(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt := pollRoute("poll", hourly)
		p.start(rt)
		defer p.stop()
		time.Sleep(time.Minute)
		if got := p.vote(rt, "room"); got != "1" {
			t.Fatalf("voted: %s", got)
		}
		synctest.Wait()
		if p.Rooms() != 0 {
			t.Fatal("the room is in memory")
		}
		time.Sleep(time.Hour - time.Millisecond)
		p.expect("room", "1")
		time.Sleep(2 * time.Millisecond)
		p.expect("room", "1 closed after 1h0m0s")
		time.Sleep(24 * time.Hour)
		p.expect("room", "1 closed after 1h0m0s")
		if p.Rooms() != 0 {
			t.Error("the room is still in memory")
		}
	})
}

// Members are told, and what comes in at that moment comes too late.
func TestPollClosesBeforeItsMembers(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt := pollRoute("poll", hourly)
		p.start(rt)
		defer p.stop()
		ann, err := hubtest.Dial(t, p.Hub, rt, room.Visitor{Room: "room"})
		if err != nil {
			t.Fatal(err)
		}
		ann.Send("vote")
		ann.Expect("1")
		time.Sleep(time.Hour)
		ann.Expect("1 closed after 1h0m0s")
		ann.Send("vote")
		ann.Expect("error: closed")
		ann.Close()
	})
}

// A poll whose time comes while Caddy does not run closes when it starts, and whoever
// looks first sees it closed.
func TestPollClosesOverARestart(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt := pollRoute("poll", hourly)
		p.start(rt)
		p.vote(rt, "room")
		p.vote(rt, "looked at")
		p.vote(rt, "voted in")
		p.stop()
		time.Sleep(3 * time.Hour)
		p.expect("room", "1")
		p.Hub = hub.New(hubtest.Opens(p.engine), hub.Limits{}, zap.NewNop)
		if view, err := p.View(context.Background(), rt, "looked at"); err != nil || string(view.Text) != "1 closed after 3h0m0s" {
			t.Errorf("the first visitor after the start sees %q, %v", view.Text, err)
		}
		if got := p.vote(rt, "voted in"); got != "error: closed" {
			t.Errorf("the first vote after the start: %s", got)
		}
		p.stop()
		p.start(rt)
		p.expect("room", "1 closed after 3h0m0s")
		p.stop()
	})
}

// A reload that changes the time changes it for rooms in memory and for those that are
// not; and so does a restart.
func TestPollClosesAtAnotherTimeAfterAReload(t *testing.T) {
	for _, lasts := range []time.Duration{10 * time.Minute, 100 * time.Minute} {
		for _, how := range []string{"reload", "restart"} {
			inPolls(t, func(t *testing.T, p *pollHouse) {
				rt, other := pollRoute("poll", hourly), pollRoute("poll", pollApp{lasts: lasts})
				p.start(rt)
				defer func() { p.stop() }()
				p.vote(rt, "room")
				ann, err := hubtest.Dial(t, p.Hub, rt, room.Visitor{Room: "with ann"})
				if err != nil {
					t.Fatal(err)
				}
				ann.Send("vote")
				ann.Expect("1")
				synctest.Wait()
				if how == "reload" {
					p.reload(other)
					time.Sleep(time.Minute)
					ann.Close() // the room leaves memory
				} else {
					ann.Close()
					p.stop()
					p.start(other)
					time.Sleep(time.Minute)
				}
				time.Sleep(lasts - time.Minute - time.Millisecond)
				p.expect("room", "1")
				p.expect("with ann", "1")
				time.Sleep(2 * time.Millisecond)
				p.expect("room", fmt.Sprint("1 closed after ", lasts))
				p.expect("with ann", fmt.Sprint("1 closed after ", lasts))
			})
		}
	}
}

// A room in memory whose options have it woken only after a reload is woken also when it
// has left memory.
func TestPollThatIsGivenAnEnd(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt := pollRoute("poll", pollApp{})
		p.start(rt)
		defer p.stop()
		ann, err := hubtest.Dial(t, p.Hub, rt, room.Visitor{Room: "room"})
		if err != nil {
			t.Fatal(err)
		}
		ann.Send("vote")
		ann.Expect("1")
		time.Sleep(time.Minute)
		p.reload(pollRoute("poll", hourly))
		time.Sleep(time.Minute)
		ann.Close()
		time.Sleep(time.Hour)
		p.expect("room", "1 closed after 1h0m0s")
	})
}

// Without its route a poll waits, in memory or not, and costs nothing; when the route
// is back it closes.
func TestPollWithoutItsRoute(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt, other := pollRoute("poll", hourly), pollRoute("other", pollApp{lasts: time.Minute})
		p.start(rt)
		defer p.stop()
		p.vote(rt, "room")
		ann, err := hubtest.Dial(t, p.Hub, rt, room.Visitor{Room: "with ann"})
		if err != nil {
			t.Fatal(err)
		}
		ann.Send("vote")
		ann.Expect("1")
		p.reload(other)
		ann.ExpectClose(frames.GoingAway)
		time.Sleep(10 * time.Hour)
		p.expect("room", "1")
		p.expect("with ann", "1")
		p.reload(other, pollRoute("poll", hourly))
		p.expect("room", "1 closed after 10h0m0s")
		p.expect("with ann", "1 closed after 10h0m0s")
	})
}

// A clock that leaps forward closes within a minute what is due by it; one that is set
// back does not close anything earlier, and delays it at most to twice the time.
func TestPollWhenTheClockIsSet(t *testing.T) {
	for name, test := range map[string]struct {
		by, after time.Duration
		want      string
	}{
		"a day forward":        {24 * time.Hour, 61 * time.Second, "1 closed after 24h"},
		"half an hour forward": {30 * time.Minute, 30*time.Minute + time.Minute, "1 closed after 1h"},
		"a day back":           {-24 * time.Hour, 24*time.Hour + time.Hour + time.Minute, "1 closed after 1h"},
	} {
		t.Run(name, func(t *testing.T) {
			inPolls(t, func(t *testing.T, p *pollHouse) {
				rt := pollRoute("poll", hourly)
				p.start(rt)
				defer p.stop()
				p.vote(rt, "room")
				ann, err := hubtest.Dial(t, p.Hub, rt, room.Visitor{Room: "with ann"})
				if err != nil {
					t.Fatal(err)
				}
				ann.Send("vote")
				ann.Expect("1")
				time.Sleep(10 * time.Second)
				p.set(test.by)
				time.Sleep(test.after)
				p.expectPrefix("room", test.want)
				ann.ExpectPrefix(test.want)
				ann.Close()
			})
		})
	}
}

// A poll that is opened after the clock has leapt and come back closes after twice its time
// at the latest, also when nobody is in the room.
func TestPollAfterTheClockHasComeBack(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt := pollRoute("poll", hourly)
		p.start(rt)
		defer p.stop()
		p.set(24 * time.Hour)
		p.vote(rt, "room")
		time.Sleep(time.Second)
		p.set(-24 * time.Hour)
		p.vote(rt, "room")
		time.Sleep(2*time.Hour - 10*time.Second)
		p.expect("room", "2")
		time.Sleep(20 * time.Second)
		p.expectPrefix("room", "2 closed after 1h")
	})
}

// A room whose time is ahead of the machine's is found due by the machine's clock a moment
// before it is by its own, if that clock was set forward a little. Leaving memory in between
// does not lose its wake.
func TestPollThatLeavesMemoryJustBeforeItsTime(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt := pollRoute("poll", hourly)
		p.start(rt)
		defer p.stop()
		p.set(24 * time.Hour)
		p.vote(rt, "room")
		p.set(-24 * time.Hour)
		ann, err := hubtest.Dial(t, p.Hub, rt, room.Visitor{Room: "room"})
		if err != nil {
			t.Fatal(err)
		}
		ann.Send("vote")
		ann.Expect("2")
		p.set(time.Millisecond)
		time.Sleep(2*time.Hour - time.Millisecond/2) // by the room's clock half of that
		p.expect("room", "2")
		ann.Close()
		synctest.Wait()
		if p.Rooms() != 0 {
			t.Fatal("the room is in memory")
		}
		time.Sleep(time.Second)
		p.expectPrefix("room", "2 closed after 1h0m0")
	})
}

// A room that is found due before its time, and whose time the engine refuses to store, is
// found again when that has come.
func TestPollWhoseTimeIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := hubtest.NewEngine()
		p := &pollHouse{t: t, engine: engine}
		rt := pollRoute("poll", hourly)
		p.start(rt)
		defer p.stop()
		p.set(24 * time.Hour)
		p.vote(rt, "room")
		p.set(-24 * time.Hour)
		ann, err := hubtest.Dial(t, p.Hub, rt, room.Visitor{Room: "room"})
		if err != nil {
			t.Fatal(err)
		}
		ann.Send("vote")
		ann.Expect("2")
		p.set(time.Minute)
		engine.OnSwap(func(func() error) error { return engines.ErrRefused })
		time.Sleep(2*time.Hour - 30*time.Second)
		engine.OnSwap(nil)
		ann.Close()
		time.Sleep(time.Minute)
		p.expectPrefix("room", "2 closed after 1h")
	})
}

// A poll that is over when it is opened, long since, closes though nobody stays.
func TestPollThatIsOverWhenItBegins(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt := pollRoute("poll", pollApp{lasts: -time.Hour})
		p.start(rt)
		defer p.stop()
		for i := range 20 {
			name := fmt.Sprint("room ", i)
			p.vote(rt, name)
			time.Sleep(2 * time.Second)
			p.expect(name, "1 closed after 0s")
			if p.Rooms() != 0 {
				t.Fatal("the room is still in memory")
			}
		}
	})
}

// An engine that refuses, for a long time, delays a wake and does not lose it.
func TestPollOverAnEngineThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := hubtest.NewEngine()
		p := &pollHouse{t: t, engine: engine}
		rt := pollRoute("poll", hourly)
		p.start(rt)
		defer p.stop()
		p.vote(rt, "room")
		engine.OnSwap(func(func() error) error { return engines.ErrRefused })
		before := engine.Swaps()
		time.Sleep(25 * time.Hour)
		p.expect("room", "1")
		if tries := engine.Swaps() - before; tries < 24*60 || tries > 24*60+20 {
			t.Errorf("%d tries in a day, want about one a minute", tries)
		}
		engine.OnSwap(nil)
		time.Sleep(time.Minute)
		p.expectPrefix("room", "1 closed after 25h")
	})
}

// A room that cannot be read is told of in the log, and woken once it can be.
func TestPollInARoomThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &unreadable{Engine: hubtest.NewEngine()}
		p := &pollHouse{t: t, engine: engine}
		rt := pollRoute("poll", hourly)
		p.start(rt)
		defer p.stop()
		p.vote(rt, "room")
		engine.fails.Store(true)
		time.Sleep(2 * time.Hour)
		if n := len(p.logs.TakeAll()); n < 50 || n > 100 {
			t.Errorf("%d lines in an hour, want about one a minute", n)
		}
		engine.fails.Store(false)
		time.Sleep(2 * time.Minute)
		p.expectPrefix("room", "1 closed after 2h")
	})
}

// A state that insists is woken once a second, and its room stays in memory.
func TestStateThatInsists(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt := pollRoute("poll", pollApp{lasts: time.Hour, insists: true})
		p.start(rt)
		p.vote(rt, "room")
		time.Sleep(time.Hour + 3500*time.Millisecond)
		for range 100 { // visitors make no difference
			if _, err := p.View(context.Background(), rt, "room"); err != nil {
				t.Fatal(err)
			}
		}
		p.expect("room", "1 closed after 1h0m0s closed after 1h0m1s closed after 1h0m2s closed after 1h0m3s")
		p.stop()
	})
}

// A meter whose window is so short that readings leave it every second stays in memory, but
// only until the last of them has left; with a longer one it comes only for each slice.
func TestMetersInMemory(t *testing.T) {
	for _, test := range []struct {
		window     time.Duration
		stays      bool
		busy, idle time.Duration // after the last reading
	}{
		{30 * time.Second, true, 25 * time.Second, 32 * time.Second},
		{10 * time.Minute, false, 9*time.Minute + 49*time.Second, 10*time.Minute + 2*time.Second},
	} {
		inPolls(t, func(t *testing.T, p *pollHouse) {
			app := &meter.App{Window: caddy.Duration(test.window)}
			if err := app.Provision(caddy.Context{}); err != nil {
				t.Fatal(err)
			}
			rt := route.New("meter", "test", route.Config{App: app, Named: true, Settings: socket.Settings{MaxMessageSize: 1000}})
			p.start(rt)
			defer p.stop()
			for range 2 * test.window / time.Second {
				hubtest.Post(t, p.Hub, rt, "room", "5", "5")
				time.Sleep(time.Second / 2)
			}
			time.Sleep(test.busy)
			synctest.Wait()
			if stays := p.Rooms() > 0; stays != test.stays {
				t.Errorf("window %v: in memory after %v: %t", test.window, test.busy, stays)
			}
			time.Sleep(test.idle - test.busy)
			synctest.Wait()
			if p.Rooms() > 0 {
				t.Errorf("window %v: still in memory after %v", test.window, test.idle)
			}
		})
	}
}

// Thousands of rooms that are due at the same time are woken, with more than a page of
// others that have no route.
func TestManyPollsClose(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		const rooms = 1500
		rt, gone := pollRoute("poll", hourly), pollRoute("gone", hourly)
		p.start(rt, gone)
		for i := range rooms {
			p.vote(gone, fmt.Sprint("gone ", i))
		}
		for i := range rooms {
			p.vote(rt, fmt.Sprint(i))
		}
		p.stop()
		time.Sleep(2 * time.Hour)
		p.start(rt)
		for i := range rooms {
			p.expect(fmt.Sprint(i), "1 closed after 2h0m0s")
		}
		p.expect("gone 77", "1")
		p.stop()
	})
}

// Waking a room is no use of it: it is forgotten all the same.
func TestPollIsForgotten(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		engine := p.engine.(*lasting)
		rt := route.New("poll", "test", route.Config{App: hourly, Named: true, Forget: 2 * time.Hour})
		p.start(rt)
		defer p.stop()
		time.Sleep(7 * time.Minute) // so that what is done now and then is not done just then
		p.vote(rt, "room")
		time.Sleep(time.Hour + 59*time.Minute)
		p.expect("room", "1 closed after 1h0m0s")
		time.Sleep(2 * time.Minute)
		engine.expect(t)
	})
}

// damaged is an engine that cannot read one of its rooms.
type damaged struct {
	*lasting
	room atomic.Value // its name, a string
}

func (e *damaged) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	if e.room.Load() == key.Room {
		return nil, 0, errors.New("damaged")
	}
	return e.lasting.Load(ctx, key)
}

// A room that is due and cannot be read is tried again and again, and holds up no other
// room, whether that is due later or is to be looked at after a reload.
func TestARoomThatCannotBeReadHoldsUpNoOther(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		engine := &damaged{lasting: p.engine.(*lasting)}
		p.engine = engine
		rt := pollRoute("poll", hourly)
		p.start(rt)
		defer p.stop()
		p.vote(rt, "damaged")
		time.Sleep(90 * time.Second)
		p.vote(rt, "room")
		time.Sleep(50 * time.Minute)
		p.vote(rt, "early")
		engine.room.Store("damaged")
		time.Sleep(10*time.Minute + time.Millisecond)
		p.expect("room", "1 closed after 1h0m0s")
		p.reload(pollRoute("poll", pollApp{lasts: 20 * time.Minute}))
		time.Sleep(10 * time.Minute)
		p.expect("early", "1 closed after 20m0s")
		engine.room.Store("")
		time.Sleep(time.Minute)
		p.expectPrefix("damaged", "1 closed after 1h1")
		if len(p.logs.TakeAll()) == 0 {
			t.Error("nothing is told of the room that cannot be read")
		}
	})
}

// A room that is to be woken some time is forgotten like any other, over an engine that
// takes its time too.
func TestAPollThatIsOpenIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := hubtest.NewEngine()
		p := &pollHouse{t: t, engine: engine}
		rt := route.New("poll", "test", route.Config{App: pollApp{lasts: 1000 * time.Hour}, Named: true, Forget: 2 * time.Hour})
		p.start(rt)
		defer p.stop()
		time.Sleep(7 * time.Minute)
		p.vote(rt, "room")
		time.Sleep(2*time.Hour + time.Minute)
		if keys, err := engine.List(context.Background(), engines.Key{}, 9); err != nil || len(keys) > 0 {
			t.Errorf("stored are %v, %v, want nothing", keys, err)
		}
	})
}

// restlessApp has rooms that are woken every 45 seconds, from their first message on.
type restlessApp struct{ *hubtest.CounterApp }

func (a restlessApp) NewState() apps.State { return &restless{State: a.CounterApp.NewState()} }

type restless struct {
	apps.State
	last time.Time // operation
}

func (s *restless) Apply(op apps.Op) (apps.Outcome, error) {
	s.last = op.At
	return s.State.Apply(apps.Op{Data: []byte("1"), At: op.At})
}

func (s *restless) Wake() time.Time {
	if s.last.IsZero() {
		return s.last
	}
	return s.last.Add(45 * time.Second)
}

func (s *restless) MarshalBinary() ([]byte, error) { return s.last.MarshalBinary() }

func (s *restless) UnmarshalBinary(p []byte) error { return s.last.UnmarshalBinary(p) }

// A room that is woken again and again is forgotten like any other.
func TestARestlessRoomIsForgotten(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		rt := route.New("restless", "test", route.Config{App: restlessApp{hubtest.NewCounterApp()}, Named: true, Forget: time.Hour})
		p.start(rt)
		defer p.stop()
		time.Sleep(7 * time.Minute)
		p.vote(rt, "room")
		time.Sleep(time.Hour + time.Minute)
		p.engine.(*lasting).expect(t)
	})
}

// driftingApp has a state that tells a later time whenever it is asked, against its
// contract, until it has been asked a thousand times.
type driftingApp struct {
	*hubtest.CounterApp
	asked *atomic.Int64
}

func (a driftingApp) NewState() apps.State { return drifting{a.CounterApp.NewState(), a.asked} }

type drifting struct {
	apps.State
	asked *atomic.Int64
}

func (s drifting) Wake() time.Time {
	if s.asked.Add(1) > 1000 {
		return time.Time{}
	}
	return time.Now().Add(time.Second)
}

// A state that is due and is not once it is looked at again is not asked without end.
func TestStateThatDrifts(t *testing.T) {
	inPolls(t, func(t *testing.T, p *pollHouse) {
		app := driftingApp{hubtest.NewCounterApp(), new(atomic.Int64)}
		rt := pollRoute("drifting", pollApp{})
		rt = route.New("drifting", "test", route.Config{App: app, Named: true, Settings: *rt.Settings.Load()})
		p.start(rt)
		defer p.stop()
		c, err := hubtest.Dial(t, p.Hub, rt, room.Visitor{Room: "room"})
		if err != nil {
			t.Fatal(err)
		}
		c.Send("op")
		c.Expect("1")
		time.Sleep(10 * time.Second)
		if n := app.asked.Load(); n > 100 {
			t.Errorf("asked %d times in ten seconds", n)
		}
		c.Close()
	})
}
