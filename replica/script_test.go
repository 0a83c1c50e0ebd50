package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/engines"
	"github.com/caddyws/caddy-websocket/engines/memory"
)

var key = engines.Key{App: "test", Room: "room"}

// script is a memory engine whose next calls a test decides over.
type script struct {
	memory.Engine
	log     *memory.Engine // has the logs, if they have lost something; nil: they are with the rest
	max     int
	load    []func() error
	swaps   []func(store func() error) error
	deletes []func(do func() error) error
	appends []func(store func() error) error
	reads   []func() error
	trims   []func() error
	calls   []string
	// What Load and Swap do when nothing is left above.
	alwaysLoad func() error
	alwaysSwap func(store func() error) error
}

// next takes the first of the steps.
func next[T any](steps *[]T) (step T, ok bool) {
	if len(*steps) == 0 {
		return step, false
	}
	step, *steps = (*steps)[0], (*steps)[1:]
	return step, true
}

func (e *script) MaxState() int { return e.max }

func (e *script) Load(ctx context.Context, key engines.Key) ([]byte, uint64, error) {
	e.calls = append(e.calls, "load")
	step, ok := next(&e.load)
	if !ok {
		step = e.alwaysLoad
	}
	if step != nil {
		if err := step(); err != nil {
			return nil, 0, err
		}
	}
	if ctx.Err() != nil {
		return nil, 0, ctx.Err()
	}
	return e.Engine.Load(ctx, key)
}

func (e *script) Swap(ctx context.Context, key engines.Key, rev uint64, v engines.Value) (uint64, error) {
	e.calls = append(e.calls, "swap")
	var stored atomic.Uint64 // a step may store after Swap has returned
	store := func() error {
		got, err := e.Engine.Swap(ctx, key, rev, v)
		if err == nil && e.log != nil && rev == 0 {
			_, err = e.log.Swap(ctx, key, 0, v)
		}
		stored.Store(got)
		return err
	}
	step, ok := next(&e.swaps)
	if !ok {
		step = e.alwaysSwap
	}
	if step == nil {
		step = plainly
	}
	err := step(store)
	return stored.Load(), err
}

func (e *script) Delete(ctx context.Context, key engines.Key, rev uint64) error {
	e.calls = append(e.calls, "delete")
	do := func() error {
		err := e.Engine.Delete(ctx, key, rev)
		if err == nil && e.log != nil {
			_, kept, _ := e.log.Load(ctx, key)
			err = e.log.Delete(ctx, key, kept)
		}
		return err
	}
	if step, ok := next(&e.deletes); ok {
		return step(do)
	}
	return do()
}

func (e *script) Append(ctx context.Context, key engines.Key, epoch string, after uint64, entries [][]byte) (uint64, error) {
	e.calls = append(e.calls, "append")
	var stored atomic.Uint64 // a step may store after Append has returned
	store := func() error {
		last, err := e.logs().Append(ctx, key, epoch, after, entries)
		stored.Store(last)
		return err
	}
	step, ok := next(&e.appends)
	if !ok {
		step = plainly
	}
	err := step(store)
	return stored.Load(), err
}

func (e *script) Read(ctx context.Context, key engines.Key, epoch string, after uint64, n int) (entries [][]byte, first, last uint64, err error) {
	if step, ok := next(&e.reads); ok {
		if err := step(); err != nil {
			return nil, 0, 0, err
		}
	}
	return e.logs().Read(ctx, key, epoch, after, n)
}

func (e *script) Trim(ctx context.Context, key engines.Key, epoch string, upTo uint64) error {
	if step, ok := next(&e.trims); ok {
		if err := step(); err != nil {
			return err
		}
	}
	return e.logs().Trim(ctx, key, epoch, upTo)
}

func (e *script) logs() engines.Log {
	if e.log != nil {
		return e.log
	}
	return &e.Engine
}

// What a Swap may do.
var errTimeout = errors.New("timeout")

func plainly(store func() error) error { return store() }
func refuse(func() error) error        { return engines.ErrRefused }
func conflict(func() error) error      { return engines.ErrConflict }
func lose(func() error) error          { return errTimeout }
func hide(store func() error) error    { return errors.Join(store(), errTimeout) }
func crash(store func() error) error   { panic(store()) }

// limit counts what a replica asks of its Limit.
type limit struct {
	rooms, recounts int
	err             error
}

func (l *limit) Reserve(context.Context) error {
	if l.err == nil {
		l.rooms++
	}
	return l.err
}
func (l *limit) Release() { l.rooms-- }
func (l *limit) Recount() { l.recounts++ }

// adder is an app whose operations are numbers to add.
type adder struct{ fault map[string]int }

func (*adder) Receive(apps.Conn, apps.Message) error { return nil }
func (a *adder) NewState() apps.State {
	a.hit("NewState")
	return &total{app: a}
}

// hit panics as often as the test wants.
func (a *adder) hit(method string) {
	if a.fault[method] > 0 {
		a.fault[method]--
		panic(method)
	}
}

// total is a sum, and as many bytes as it is large.
type total struct {
	app *adder
	n   int
}

func (s *total) Apply(op apps.Op) (apps.Outcome, error) {
	n, err := strconv.Atoi(string(op.Data))
	if err != nil {
		return apps.Outcome{}, errors.New("not a number")
	}
	s.n += n
	if n == 13 {
		panic("thirteen")
	}
	return apps.Outcome{Reply: s.view()}, nil
}

func (s *total) view() apps.Body { return apps.Body{Text: strconv.AppendInt(nil, int64(s.n), 10)} }

func (s *total) View() apps.Body {
	s.app.hit("View")
	return s.view()
}

func (s *total) MarshalBinary() ([]byte, error) {
	s.app.hit("MarshalBinary")
	if s.n < 0 {
		return nil, errors.New("negative")
	}
	return bytes.Repeat([]byte("x"), s.n), nil
}

func (s *total) UnmarshalBinary(p []byte) error {
	s.app.hit("UnmarshalBinary")
	if bytes.ContainsRune(p, '!') {
		return errors.New("damaged")
	}
	s.n = len(p)
	return nil
}

// room is a replica with everything around it.
type room struct {
	*Replica
	*testing.T
	engine *script
	limit  *limit
	app    *adder
	faults []error
}

func newRoom(t *testing.T) *room {
	r := &room{T: t, engine: &script{max: 1 << 20}, limit: new(limit), app: &adder{fault: make(map[string]int)}}
	r.again()
	return r
}

// again makes a new replica, as after a restart.
func (r *room) again() {
	r.Replica = New(key, &Store{Engine: r.engine, Limit: r.limit}, func(err error) { r.faults = append(r.faults, err) })
	if err := r.Load(r.Context(), r.app, "route"); err != nil {
		r.Fatal(err)
	}
}

// rival returns a replica of the same room in another process, whose calls of the
// engine are not of the script.
func (r *room) rival() *room {
	other := &room{T: r.T, limit: new(limit), app: r.app}
	other.Replica = New(key, &Store{Engine: &r.engine.Engine, Limit: other.limit}, func(err error) { r.Error(err) })
	if err := other.Load(r.Context(), r.app, "route"); err != nil {
		r.Fatal(err)
	}
	return other
}

// commit commits numbers and compares what came of each: the reply, or "!" and the
// error.
func (r *room) commit(numbers []string, want ...string) {
	r.Helper()
	var batch []Operation
	for _, n := range numbers {
		batch = append(batch, Operation{Data: []byte(n)})
	}
	if got := told(r.Commit(r.Context(), batch)); !slices.Equal(got, want) {
		r.Errorf("committing %q gave %q, expected %q", numbers, got, want)
	}
}

func told(results []Result) (all []string) {
	for _, res := range results {
		switch {
		case res.Panicked:
			all = append(all, "!panic")
		case res.Err != nil:
			all = append(all, "!"+res.Err.Error())
		default:
			all = append(all, fmt.Sprintf("%s@%d", res.Outcome.Reply.Text, res.Version))
		}
	}
	return all
}

// shows compares the snapshot.
func (r *room) shows(want string) {
	r.Helper()
	s := r.Snapshot()
	if got := fmt.Sprintf("%s@%d", s.View.Text, s.Version); got != want || len(s.Epoch) != epochSize {
		r.Errorf("shows %s in %q, expected %s", got, s.Epoch, want)
	}
}
