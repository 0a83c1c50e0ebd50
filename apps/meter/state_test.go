package meter_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/apps/meter"
)

// apply applies a reading to a state.
func apply(t testing.TB, s apps.State, at time.Time, op string) apps.Outcome {
	t.Helper()
	out, err := s.Apply(apps.Op{Data: []byte(op), At: at})
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return out
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// told is what the events of an outcome say, and to whom.
func told(events []apps.Event) (told []string) {
	for _, e := range events {
		told = append(told, fmt.Sprintf("%s %q: %s", e.Name, e.To.Claim(), e.Body.Text))
	}
	return told
}

func TestAlertsForTheConnectionsOfAKey(t *testing.T) {
	app := valid(t, `
		alert stop each last above 90 {
			to key
			message "shut down"
		}
		alert high each last above 80
		alert all max above 95`)
	state := app.NewState()
	if out := apply(t, state, noon, "50 a"); out.Claim != "a" || len(out.Events) > 0 || !out.Show || !out.Update.Empty() {
		t.Errorf("the first reading led to %+v", out)
	}
	apply(t, state, noon, "85 b")
	out := apply(t, state, noon, "99 a")
	want := []string{`alert "": all: max is 99, above 95`, `alert "a": shut down`, `alert "": high: last of a is 99, above 80`}
	if got := told(out.Events); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	stander := state.(apps.Stander)
	if got := told(stander.Standing("a")); !slices.Equal(got, []string{`alert "a": shut down`}) {
		t.Errorf("it stands for a: %q", got)
	}
	for _, other := range []string{"b", "c", ""} {
		if got := stander.Standing(other); len(got) > 0 {
			t.Errorf("it stands for %q: %q", other, told(got))
		}
	}
	out = apply(t, state, noon, "20 a")
	want = []string{`alert "a": stop is over for a`, `alert "": high is over for a`}
	if got := told(out.Events); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if got := stander.Standing("a"); len(got) > 0 {
		t.Errorf("it still stands for a: %q", told(got))
	}
}

// Without alerts for their connections nobody needs to claim a key.
func TestKeysAreClaimedOnlyForAlerts(t *testing.T) {
	state := valid(t, "alert a each max above 1").NewState()
	if out := apply(t, state, noon, "5 a"); out.Claim != "" || len(state.(apps.Stander).Standing("a")) > 0 {
		t.Errorf("it led to %+v", out)
	}
}

func TestWhenToBeWoken(t *testing.T) {
	for block, want := range map[string]time.Time{
		"":                     {},
		"alert a max above 1":  {},
		"window 1m":            noon.Add(time.Minute),
		"window 1m\nlatest":    noon.Add(time.Minute),
		"window 1h":            noon.Add(time.Hour),
		"alert a max above 99": {},
	} {
		state := valid(t, block).NewState()
		waker := state.(apps.Waker)
		if got := waker.Wake(); !got.IsZero() {
			t.Errorf("%s: an empty room is woken at %v", block, got)
		}
		apply(t, state, noon, "5 a")
		if got := waker.Wake(); !got.Equal(want) {
			t.Errorf("%s: woken at %v, want %v", block, got, want)
		}
	}
}

// An operation that none of this app's versions has made is refused, not counted.
func TestForeignOperationsAreRefused(t *testing.T) {
	state := valid(t, "").NewState()
	for _, op := range []string{"", "x", " a", "{}"} {
		if _, err := state.Apply(apps.Op{Data: []byte(op), At: noon}); err == nil {
			t.Errorf("%q was taken", op)
		}
	}
	if got := string(state.View().Text); got != "count 0 sum 0" {
		t.Error(got)
	}
}

// The bytes of a view are not changed by what comes later.
func TestViewsAreKept(t *testing.T) {
	state := valid(t, "").NewState()
	out := apply(t, state, noon, "5 a")
	view := state.View()
	before := fmt.Sprintf("%s %s %s %s", view.JSON, view.Text, out.Reply.JSON, out.Reply.Text)
	apply(t, state, noon, "777 b")
	state.View()
	if got := fmt.Sprintf("%s %s %s %s", view.JSON, view.Text, out.Reply.JSON, out.Reply.Text); got != before {
		t.Errorf("%s became %s", before, got)
	}
}

// A view is that of the same readings read anew, whatever came since the view before, and
// it is not changed by what comes later.
func TestViewsOfRandomReadings(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, block := range []string{"", "alert a each last above 900", "window 1m", "window 1m\nlatest\nalert a max above 900"} {
		app := valid(t, block)
		state, at := app.NewState(), noon
		var views, copies []apps.Body
		for range 300 {
			for range r.IntN(2) + r.IntN(2)*r.IntN(80) {
				at = at.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
				apply(t, state, at, randomReading(r))
			}
			view := state.View()
			views = append(views, view)
			copies = append(copies, apps.Body{Text: bytes.Clone(view.Text), JSON: bytes.Clone(view.JSON)})
			if again := readAnew(t, app, state); !reflect.DeepEqual(view, again) {
				t.Fatalf("%q: shown is\n%s\n%s, want\n%s\n%s", block, view.JSON, view.Text, again.JSON, again.Text)
			}
		}
		if !reflect.DeepEqual(views, copies) {
			t.Errorf("%q: views have changed", block)
		}
	}
}

// randomReading returns an operation, with numbers and keys of many lengths.
func randomReading(r *rand.Rand) string {
	number := []string{"0", "-1", "5", "12.5", "1000", "-0.000001", strings.Repeat("9", 30) + "." + strings.Repeat("1", 30)}[r.IntN(7)]
	return number + " " + strings.Repeat("k", 1+r.IntN(5)) + strconv.Itoa(r.IntN(8))
}

// readAnew returns the view of a state that has been stored and read.
func readAnew(t *testing.T, app *meter.App, state apps.State) apps.Body {
	t.Helper()
	p, err := state.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	again := app.NewState()
	if err := again.UnmarshalBinary(p); err != nil {
		t.Fatal(err)
	}
	return again.View()
}

// The newest readings are shown as they were sent, in their order.
func TestKeysAreShown(t *testing.T) {
	state := valid(t, "").NewState()
	for _, step := range []struct{ op, want string }{
		{"5 b", `{"b":5}`},
		{"7", `{"b":5}`},
		{"1 a", `{"a":1,"b":5}`},
		{"123456 a", `{"a":123456,"b":5}`},
		{"0.5 b", `{"a":123456,"b":0.5}`},
		{"8", `{"a":123456,"b":0.5}`},
		{"2 a", `{"a":2,"b":0.5}`},
		{"3 c", `{"a":2,"b":0.5,"c":3}`},
		{"4.25 c", `{"a":2,"b":0.5,"c":4.25}`},
	} {
		apply(t, state, noon, step.op)
		if view := string(state.View().JSON); !strings.Contains(view, `,"keys":`+step.want+`,"alerts":`) {
			t.Errorf("after %s: %s, want keys %s", step.op, view, step.want)
		}
	}
}

// One reading, or one moment, leads to a bounded number of events of bounded length.
func TestEventsAreBounded(t *testing.T) {
	state := valid(t, "window 1m\n"+alerts(10, "each")+alerts(22, "")).NewState()
	for i := range 100 {
		apply(t, state, noon, fmt.Sprintf("6 press-%d", i))
	}
	out, err := state.Apply(apps.Op{Wake: true, At: noon.Add(time.Hour)})
	if err != nil || len(out.Events) != 1022 {
		t.Errorf("%d events, %v", len(out.Events), err)
	}
	for _, e := range out.Events {
		if len(e.Body.JSON) > 1024 {
			t.Errorf("%d bytes: %s", len(e.Body.JSON), e.Body.JSON)
		}
	}
}

// What a reading costs does not depend on what is shown.
func TestReadingsAllocateOnlyTheAnswer(t *testing.T) {
	for block, most := range map[string]float64{
		"":                                     1,
		"max_keys 1000\nalert a max above 1e6": 1,
		"max_keys 1000\nwindow 1h\nlatest\nalert a each last above 1e6": 1,
		"alert a each last above 1e6 {\nto key\n}":                      2, // and the claim
	} {
		state := valid(t, block).NewState()
		apply(t, state, noon, "812.5 press-4")
		op := apps.Op{Data: []byte("812.5 press-4"), At: noon}
		got := testing.AllocsPerRun(100, func() {
			if _, err := state.Apply(op); err != nil {
				t.Fatal(err)
			}
		})
		if got > most {
			t.Errorf("%q: %v allocations", block, got)
		}
	}
}

// filled is a state with so many keys and a reading a second of each for a minute, and
// an operation for each.
func filled(tb testing.TB, app *meter.App, keys int) (apps.State, []apps.Op) {
	state, ops := app.NewState(), make([]apps.Op, keys)
	for i := range ops {
		ops[i] = apps.Op{Data: fmt.Appendf(nil, "%d.%d press-%d", 200+i%700, i%10, i), At: noon}
	}
	for second := range 60 {
		for _, op := range ops {
			op.At = noon.Add(time.Duration(second) * time.Second)
			if _, err := state.Apply(op); err != nil {
				tb.Fatal(err)
			}
		}
	}
	for i := range ops {
		ops[i].At = noon.Add(time.Minute)
	}
	return state, ops
}

// BenchmarkState is what one reading costs a room, and what one commit does.
func BenchmarkState(b *testing.B) {
	for _, block := range []string{"", "alert a max above 1e6", "window 1m\nlatest\nalert a each last above 1e6"} {
		for _, keys := range []int{1, 100, 1000} {
			state, ops := filled(b, valid(b, fmt.Sprintf("max_keys %d\n%s", max(keys, 1), block)), keys)
			name := fmt.Sprintf("%.20q/%d", block, keys)
			b.Run("Apply/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := state.Apply(ops[i%keys]); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("View/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					state.View()
				}
			})
			b.Run("Show/"+name, func(b *testing.B) { // a reading, and what is shown of it
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := state.Apply(ops[i%keys]); err != nil {
						b.Fatal(err)
					}
					state.View()
				}
			})
			b.Run("Marshal/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := state.MarshalBinary(); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("Wake/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					state.(apps.Waker).Wake()
				}
			})
		}
	}
}
