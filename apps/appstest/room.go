package appstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/hub"
	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/room"
	"github.com/caddyws/caddy-websocket/route"
	"github.com/caddyws/caddy-websocket/socket"
)

// patience bounds every wait.
const patience = time.Minute

// Room is one room of an app.
type Room struct {
	// Immutable.
	t      testing.TB
	engine *memory.Engine
	log    *zap.Logger
	logged *observer.ObservedLogs

	happened *mailbox // events of the room, as objects

	ahead atomic.Int64 // nanoseconds that its clock is ahead of this process's

	// Owned by the test's goroutine.
	app     apps.App
	route   *route.Route
	hub     *hub.Hub
	clients []*Client

	serving sync.WaitGroup // goroutines of clients
}

// The limits of connections are the defaults of the directive, without pings.
const (
	maxMessageSize = 64 << 10
	maxQueue       = 1 << 20
)

// NewRoom returns an empty room of the app, which is closed at the end of the
// test. The app is provisioned by the caller if it has to be.
func NewRoom(t testing.TB, app apps.App) *Room {
	t.Helper()
	core, logged := observer.New(zapcore.InfoLevel)
	r := &Room{t: t, engine: new(memory.Engine), app: app, logged: logged, happened: newMailbox()}
	r.log = zap.New(zapcore.NewTee(core, zaptest.NewLogger(t).Core()))
	r.route = newRoute(app)
	r.open()
	t.Cleanup(r.close)
	return r
}

func newRoute(app apps.App) *route.Route {
	return route.New("test", "test", route.Config{
		App: app, Settings: socket.Settings{MaxMessageSize: maxMessageSize, MaxQueue: maxQueue},
	})
}

func (r *Room) open() {
	r.hub = hub.New(lasting{r.engine}, hub.Limits{}, func() *zap.Logger { return r.log })
	r.hub.SetClock(func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) })
	r.hub.Watch(r.note)
	r.hub.Begin([]*route.Route{r.route})
	if _, keeps := r.app.(apps.Stateful); !keeps {
		return
	}
	if err := r.hub.Open(r.t.Context()); err != nil {
		r.t.Fatalf("opening the engine: %v", err)
	}
}

// note keeps an event of the room, as an object.
func (r *Room) note(news room.News) (told bool) {
	all, err := fields(news.Body.JSON)
	if err != nil {
		all = map[string]any{"text": string(news.Body.Text)}
	}
	all["event"], all["id"] = news.Name, news.ID
	payload, err := json.Marshal(all)
	if err != nil {
		payload = []byte(err.Error())
	}
	r.happened.put(frame{frames.Text, payload})
	return true
}

// lasting is an engine that outlives its hub, and its opener.
type lasting struct{ *memory.Engine }

func (lasting) Identity() string                               { return "" }
func (e lasting) Open(context.Context) (engines.Engine, error) { return e, nil }
func (lasting) Close() error                                   { return nil }

// close lets all clients go and waits for the app.
func (r *Room) close() {
	r.t.Helper()
	for _, c := range r.clients {
		c.conn.Close()
	}
	for _, c := range r.clients {
		c.await(c.gone, letGo)
	}
	if err := r.hub.Close(patience, frames.GoingAway, "the test is over"); err != nil {
		r.t.Errorf("the app still works for clients that left %v ago", patience)
		return
	}
	r.serving.Wait()
	r.clients = nil
}

// Restart sends all clients away and goes on with what is stored, as after a
// restart of Caddy: state goes through MarshalBinary and UnmarshalBinary.
func (r *Room) Restart() {
	r.t.Helper()
	r.RestartAfter(0)
}

// RestartAfter is Restart with a time between the end and the start, for states that are
// to be woken. It sleeps that long, which costs nothing under testing/synctest.
func (r *Room) RestartAfter(d time.Duration) {
	r.t.Helper()
	r.close()
	time.Sleep(d)
	r.open()
}

// SetClock sets the clock of the machine forward, or back: as an operator does, or a
// machine that learns what time it is. A room that is to be woken notices within a minute.
func (r *Room) SetClock(by time.Duration) { r.ahead.Add(int64(by)) }

// Reload goes on with another instance of the app, as after a reload of the
// configuration: clients stay, and the state goes through MarshalBinary and
// UnmarshalBinary.
func (r *Room) Reload(app apps.App) {
	r.t.Helper()
	before := r.route
	r.app, r.route = app, newRoute(app)
	r.hub.Adopt([]*route.Route{before}, []*route.Route{r.route}, hub.Limits{})
}

// Option says something about a visitor.
type Option func(*room.Visitor)

// JSON makes a visitor speak the subprotocol json, which the app must know.
func JSON(v *room.Visitor) { v.Subprotocol = message.Subprotocol }

// Subprotocol makes a visitor speak a subprotocol of the app's.
func Subprotocol(name string) Option { return func(v *room.Visitor) { v.Subprotocol = name } }

// User is the name that a visitor has logged in with.
func User(name string) Option { return func(v *room.Visitor) { v.User = name } }

// ClientIP is the address that a visitor comes from. Default: 192.0.2.1.
func ClientIP(ip string) Option { return func(v *room.Visitor) { v.ClientIP = ip } }

// Header adds a header to the visitor's handshake.
func Header(name, value string) Option {
	return func(v *room.Visitor) { v.Handshake.Header.Add(name, value) }
}

// Query adds a parameter to the URL of the visitor's handshake.
func Query(name, value string) Option {
	return func(v *room.Visitor) { v.Handshake.Query.Add(name, value) }
}

// Claim has a visitor claim names when it connects, as with ?claim=.
func Claim(names ...string) Option {
	return func(v *room.Visitor) { v.Claims = append(v.Claims, names...) }
}

// After has a visitor say that it comes back and what it has seen before, as with ?after=.
// What [Client.Seen] returns is a point in the life of the room; anything else is taken for
// one of another life.
func After(point string) Option {
	return func(v *room.Visitor) { v.Seen, _ = room.ParseSeen(point) }
}

func (r *Room) visitor(options []Option) room.Visitor {
	r.t.Helper()
	v := room.Visitor{
		Room:      "//test.example/room",
		ClientIP:  "192.0.2.1",
		Handshake: apps.Handshake{Header: http.Header{}, Query: url.Values{}},
	}
	for _, option := range options {
		option(&v)
	}
	if v.Subprotocol != "" && !r.knows(v.Subprotocol) {
		r.t.Fatalf("the app does not know the subprotocol %q", v.Subprotocol)
	}
	if err := room.CheckClaims(v.Claims); err != nil {
		r.t.Fatalf("joining: %v", err)
	}
	return v
}

func (r *Room) knows(subprotocol string) bool {
	app, ok := r.app.(apps.Protocols)
	return ok && slices.Contains(app.Subprotocols(), subprotocol)
}

// Join lets a new client in.
func (r *Room) Join(options ...Option) *Client {
	r.t.Helper()
	member, err := r.hub.Join(r.t.Context(), r.route, r.visitor(options))
	if err != nil {
		r.t.Fatalf("joining: %v", err)
	}
	return r.serve(member)
}

// ExpectForbidden fails the test unless the app's Join refuses the visitor.
func (r *Room) ExpectForbidden(options ...Option) {
	r.t.Helper()
	member, err := r.hub.Join(r.t.Context(), r.route, r.visitor(options))
	if err == nil {
		member.Abandon()
	}
	if !errors.Is(err, room.ErrForbidden) {
		r.t.Fatalf("joining: got error %v, expected that the app refuses", err)
	}
}

// ExpectState fails the test unless text is what a GET shows, at once or within a second: a
// state whose time comes at this very moment is woken by the room, not by the GET.
func (r *Room) ExpectState(text string) {
	r.t.Helper()
	shown := r.state()
	for end := time.Now().Add(time.Second); shown != text && time.Now().Before(end); shown = r.state() {
		time.Sleep(time.Millisecond)
	}
	if shown != text {
		r.t.Fatalf("state is %q, expected %q", shown, text)
	}
}

// state is what a GET shows.
func (r *Room) state() string {
	r.t.Helper()
	view, err := r.hub.View(r.t.Context(), r.route, r.visitor(nil).Room)
	if err != nil {
		r.t.Fatalf("looking at the state: %v", err)
	}
	return string(view.Text)
}

// ExpectEvent fails the test unless the next event of the room, whoever it is for, is of
// this name and has the fields of this object; see [Client.ExpectJSON]. These are the events
// that handlers in a Caddyfile are told, so the field id is there too, and text if there is
// no JSON.
func (r *Room) ExpectEvent(name, object string) {
	r.t.Helper()
	want, wanted := event(r.t, name, object)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	f, ok := r.happened.wait(timer.C)
	if !ok {
		r.t.Fatalf("expected %s, got nothing within %v", wanted, patience)
	}
	if !f.has(want) {
		r.t.Fatalf("expected %s, got %s", wanted, f)
	}
}

// ExpectLogged fails the test unless a line was logged that contains the text,
// in its message or an error. What made a connection end is logged before.
func (r *Room) ExpectLogged(text string) {
	r.t.Helper()
	for _, line := range r.logged.All() {
		err, _ := line.ContextMap()["error"].(string)
		if strings.Contains(line.Message, text) || strings.Contains(err, text) {
			return
		}
	}
	r.t.Fatalf("nothing with %q was logged", text)
}

// Answer is what came of a message sent by a plain POST.
type Answer struct {
	t     testing.TB
	given room.Answer
}

// Post sends a text message by a plain POST and returns the answer.
func (r *Room) Post(text string, options ...Option) *Answer {
	r.t.Helper()
	return r.ask(apps.Text(text), options)
}

// PostBinary sends a binary message by a plain POST and returns the answer.
func (r *Room) PostBinary(p []byte, options ...Option) *Answer {
	r.t.Helper()
	return r.ask(apps.Binary(p), options)
}

func (r *Room) ask(m apps.Message, options []Option) *Answer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	answer, err := r.hub.Ask(ctx, r.route, r.visitor(options), m, nil)
	if err != nil {
		r.t.Fatalf("posting: %v", err)
	}
	if ctx.Err() != nil {
		r.t.Fatalf("posting: no answer within %v", patience)
	}
	return &Answer{r.t, answer}
}

// Expect fails the test unless the answer is a reply with this text.
func (a *Answer) Expect(reply string) {
	a.t.Helper()
	a.expect("reply "+strconv.Quote(reply), a.isReply() && string(a.given.Data) == reply)
}

// ExpectNothing fails the test unless the message had no reply and no fault.
func (a *Answer) ExpectNothing() {
	a.t.Helper()
	a.expect("nothing", !a.isReply() && a.given.Err == nil && a.given.Code == 0)
}

// ExpectRefused fails the test unless the message was refused with this text.
func (a *Answer) ExpectRefused(text string) {
	a.t.Helper()
	a.expect("refusal "+strconv.Quote(text), a.given.Err != nil && a.given.Err.Error() == text)
}

// ExpectClosed fails the test unless a connection would have been closed for the
// message, with this code.
func (a *Answer) ExpectClosed(code int) {
	a.t.Helper()
	a.expect(fmt.Sprintf("close %d", code), int(a.given.Code) == code)
}

func (a *Answer) isReply() bool {
	return a.given.Err == nil && a.given.Code == 0 && a.given.Data != nil
}

func (a *Answer) expect(wanted string, ok bool) {
	a.t.Helper()
	if !ok {
		a.t.Fatalf("posting: got %s, expected %s", a, wanted)
	}
}

// String tells what the answer is, for people.
func (a *Answer) String() string {
	switch {
	case a.given.Err != nil:
		return "refusal " + strconv.Quote(a.given.Err.Error())
	case a.given.Code != 0:
		return fmt.Sprintf("close %d %q", a.given.Code, a.given.Data)
	case a.given.Data != nil:
		return "reply " + strconv.Quote(string(a.given.Data))
	}
	return "nothing"
}
