package measure

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// sample is a report with all that there can be in one.
func sample() *Report {
	times := newTimes()
	for i := range 1000 {
		times.add(time.Duration(i+1) * 20 * time.Millisecond)
	}
	return &Report{
		URL: "ws://localhost:8080/chat", Seconds: 10, Rate: 100,
		Connections: connections{1000, 998, 1},
		Messages:    messages{1000, 990, 10, 980, 10, 1234567, 3},
		Bytes:       traffic{1 << 20, 1 << 30},
		PerSecond:   perSecond{99, 98, 123456.7},
		Answers:     times.spread(), Deliveries: times.spread(),
		Errors: []failure{{"connection refused", 2}}, Notes: []string{"one", "two"},
	}
}

func TestTable(t *testing.T) {
	want := strings.TrimPrefix(`
ws://localhost:8080/chat, 998 connections, 10.0 s

                  messages  per second
           sent        990        99.0  1.0 MiB
       answered        980        98.0
      delivered  1,234,567   123,456.7
    others came          3
  due, not sent         10
      no answer         10

              half    90 %    99 %  99.9 %     max    mean
    answer  10.0 s  18.0 s  19.8 s  20.0 s  20.0 s  10.0 s
  delivery  10.0 s  18.0 s  19.8 s  20.0 s  20.0 s  10.0 s

2 × connection refused
Note: one.
Note: two.
`, "\n")
	var got strings.Builder
	if err := sample().writeTable(&got); err != nil || got.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got.String(), want)
	}
}

// Programs find the same in the JSON, with lists that are never null.
func TestJSON(t *testing.T) {
	var text strings.Builder
	if err := sample().writeJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got Report
	decoder := json.NewDecoder(strings.NewReader(text.String()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil || got.Messages != sample().Messages || *got.Answers != *sample().Answers {
		t.Errorf("%v, %+v", err, got)
	}
	for _, field := range []string{`"p99.9":`, `"not_sent": 10`, `"answer_ms":`} {
		if !strings.Contains(text.String(), field) {
			t.Errorf("there is no %s in\n%s", field, text.String())
		}
	}
}

func TestIncomplete(t *testing.T) {
	const want = "not all was done: 2 connections could not be opened, 1 connections were lost, 10 messages were due and not sent, 10 messages have no answer"
	if err := sample().Incomplete(); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if err := (&Report{}).Incomplete(); err != nil {
		t.Error(err)
	}
}

// Times beyond the bounds of the histogram are told as its bounds, not left out.
func TestTimesBeyondBounds(t *testing.T) {
	times := newTimes()
	times.add(-time.Second)
	times.add(100 * time.Hour)
	if s := times.spread(); times.h.TotalCount() != 2 || s.Max < 3_600_000 || s.P50 != 0.001 {
		t.Errorf("%+v", s)
	}
	if newTimes().spread() != nil {
		t.Error("no times have a spread")
	}
}

// Errors of many kinds do not fill the report.
func TestKindsOfErrorsAreBounded(t *testing.T) {
	tally := newTally(1)
	for i := range 100 {
		tally.fail(strings.Repeat("x", i), nil)
	}
	all := tally.failures()
	if len(all) != maxKinds+1 || all[0] != (failure{"other errors", 80}) {
		t.Errorf("%d kinds, first %+v", len(all), all[0])
	}
}

func TestProgress(t *testing.T) {
	r := newRun(plan{connections: 10_000, rate: 1, duration: 10 * time.Second}, nil)
	r.tally.connected.Store(2500)
	if got := r.progress(); got != "[#####---------------] connecting, 2,500 of 10,000" {
		t.Error(got)
	}
	r.started.Store(1)
	r.begin = time.Now().Add(-time.Hour)
	r.tally.sent.Store(1234)
	r.tally.lost.Store(1)
	if got := r.progress(); got != "[####################] 10s of 10s, 1,234 sent, 0 answered, 1 connections lost" {
		t.Error(got)
	}
}
