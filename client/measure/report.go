package measure

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// Report is what was measured. Times are in milliseconds.
type Report struct {
	URL         string      `json:"url"`
	Seconds     float64     `json:"seconds"` // how long messages were sent
	Rate        float64     `json:"rate"`    // as asked for, 0 for none
	Connections connections `json:"connections"`
	Messages    messages    `json:"messages"`
	Bytes       traffic     `json:"bytes"` // of payloads
	PerSecond   perSecond   `json:"per_second"`
	Handshakes  *spread     `json:"handshake_ms,omitempty"`
	Answers     *spread     `json:"answer_ms,omitempty"`   // from when a message was due, or without a rate sent, to its answer
	Deliveries  *spread     `json:"delivery_ms,omitempty"` // the same, to other connections
	Late        *spread     `json:"late_ms,omitempty"`     // from when a message was due until it was sent
	Errors      []failure   `json:"errors"`
	Notes       []string    `json:"notes"`
}

type connections struct {
	Wanted int   `json:"wanted"`
	Opened int64 `json:"opened"`
	Lost   int64 `json:"lost"` // ended before the end
}

type messages struct {
	Planned    int64 `json:"planned"` // due at the rate, 0 without one; if interrupted, those sent
	Sent       int64 `json:"sent"`
	NotSent    int64 `json:"not_sent"` // due, but the connection took no more or was not there
	Answered   int64 `json:"answered"`
	Unanswered int64 `json:"unanswered"`
	Delivered  int64 `json:"delivered"` // those of other connections that came
	Others     int64 `json:"others"`    // without a marker of this run
}

type traffic struct {
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
}

type perSecond struct {
	Sent      float64 `json:"sent"`
	Answered  float64 `json:"answered"`
	Delivered float64 `json:"delivered"`
}

// failure is an error and how often it happened.
type failure struct {
	Error string `json:"error"`
	Count int64  `json:"count"`
}

// spread is how times are distributed.
type spread struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

func (t times) spread() *spread {
	if t.h.TotalCount() == 0 {
		return nil
	}
	at := func(q float64) float64 { return float64(t.h.ValueAtQuantile(q)) / 1000 }
	return &spread{at(50), at(90), at(99), at(99.9), float64(t.h.Max()) / 1000, math.Round(t.h.Mean()) / 1000}
}

// newReport sums up a run that has sent for so long.
func newReport(r *run, sending time.Duration) *Report {
	t := r.tally
	report := &Report{
		Seconds: rounded(sending.Seconds()), Rate: r.rate,
		Connections: connections{r.connections, t.connected.Load(), t.lost.Load()},
		Messages: messages{
			Planned: r.planned(), Sent: t.sent.Load(), Answered: t.answered.Load(),
			Delivered: t.delivered.Load(), Others: t.others.Load(),
		},
		Bytes:      traffic{t.bytesSent.Load(), t.bytesReceived.Load()},
		Handshakes: t.handshakes.spread(),
		Answers:    t.sum(func(s *shard) times { return s.answers }).spread(),
		Deliveries: t.sum(func(s *shard) times { return s.deliveries }).spread(),
		Late:       t.sum(func(s *shard) times { return s.late }).spread(),
		Errors:     append([]failure{}, t.failures()...),
		Notes:      []string{},
	}
	if sending < r.duration {
		report.Messages.Planned = min(report.Messages.Planned, report.Messages.Sent)
		report.Notes = append(report.Notes, "interrupted after "+sending.Round(100*time.Millisecond).String())
	}
	m := &report.Messages
	if r.marked() {
		m.Unanswered = m.Sent - m.Answered
	}
	if r.rate > 0 {
		m.NotSent = m.Planned - m.Sent
	}
	until := max(sending, time.Duration(t.lastAnswer.Load())-r.start()).Seconds()
	report.PerSecond = perSecond{rounded(float64(m.Sent) / sending.Seconds()), rounded(float64(m.Answered) / until), rounded(float64(m.Delivered) / until)}
	report.note(r)
	return report
}

// plural is a number and what is counted.
func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return humanize.Comma(n) + " " + what + "s"
}

func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

// note adds what a reader has to know of the figures.
func (p *Report) note(r *run) {
	note := func(applies bool, format string, args ...any) {
		if applies {
			p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
		}
	}
	note(r.rate == 0, "without --rate each connection waits for its answer: these are times of patient clients, and a server that stops is asked nothing meanwhile")
	note(!r.marked(), "no times of answers: --message has no %s to know them by", placeholder)
	note(p.Messages.Unanswered > 0 && p.Messages.Others > 0, "%s came without the id of a message, so they do not count as answers: give a --message with %s where the endpoint repeats it, such as --subprotocol json --message '{\"value\":1,\"id\":\"%s\"}'",
		plural(p.Messages.Others, "message"), placeholder, placeholder)
	note(p.Messages.Unanswered > 0 && p.Messages.Answered > 0, "the times are of the messages that were answered: those without answer would make them worse")
	if late := p.Late; late != nil {
		note(late.P99 > 5, "1 in 100 messages was sent %s late or later, which is in the times of answers: either the server did not take it, or this machine is too slow for the rate", ms(late.P99))
	}
}

// Incomplete is the error of a run in which not all was done that was planned, or nil.
func (p *Report) Incomplete() error {
	var what []string
	add := func(n int64, words string) {
		if n > 0 {
			what = append(what, humanize.Comma(n)+" "+words)
		}
	}
	add(int64(p.Connections.Wanted)-p.Connections.Opened, "connections could not be opened")
	add(p.Connections.Lost, "connections were lost")
	add(p.Messages.NotSent, "messages were due and not sent")
	add(p.Messages.Unanswered, "messages have no answer")
	if len(what) == 0 {
		return nil
	}
	return fmt.Errorf("not all was done: %s", strings.Join(what, ", "))
}

// writeJSON writes the report for programs.
func (p *Report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t")
	return encoder.Encode(p)
}

// writeTable writes the report for people.
func (p *Report) writeTable(w io.Writer) error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%s, %s connections, %.1f s\n\n", p.URL, humanize.Comma(p.Connections.Opened), p.Seconds)
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")+"\t") }
	row("", "messages", "per second", "")
	row("sent", humanize.Comma(p.Messages.Sent), perSec(p.PerSecond.Sent), humanize.IBytes(uint64(p.Bytes.Sent)))
	row("answered", humanize.Comma(p.Messages.Answered), perSec(p.PerSecond.Answered), "")
	if p.Messages.Delivered > 0 {
		row("delivered", humanize.Comma(p.Messages.Delivered), perSec(p.PerSecond.Delivered), "")
	}
	if p.Messages.Others > 0 {
		row("others came", humanize.Comma(p.Messages.Others), "", "")
	}
	if p.Messages.NotSent > 0 {
		row("due, not sent", humanize.Comma(p.Messages.NotSent), "", "")
	}
	if p.Messages.Unanswered > 0 {
		row("no answer", humanize.Comma(p.Messages.Unanswered), "", "")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	b.WriteByte('\n')
	if err := p.writeTimes(b); err != nil {
		return err
	}
	for _, e := range p.Errors {
		fmt.Fprintf(b, "\n%s × %s", humanize.Comma(e.Count), e.Error)
	}
	for _, note := range p.Notes {
		fmt.Fprintf(b, "\nNote: %s.", note)
	}
	_, err := io.WriteString(w, blanksAtEnd.ReplaceAllString(b.String(), "")+"\n")
	return err
}

// blanksAtEnd are those of columns that have nothing in a row, and of the whole text.
var blanksAtEnd = regexp.MustCompile(`(?m) +$|\n\z`)

func perSec(x float64) string { return humanize.CommafWithDigits(x, 1) }

// writeTimes writes a row for each kind of times that there are.
func (p *Report) writeTimes(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "\thalf\t90 %\t99 %\t99.9 %\tmax\tmean\t")
	for _, row := range []struct {
		name string
		of   *spread
	}{{"handshake", p.Handshakes}, {"answer", p.Answers}, {"delivery", p.Deliveries}, {"sent late", p.Late}} {
		if s := row.of; s != nil {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", row.name, ms(s.P50), ms(s.P90), ms(s.P99), ms(s.P999), ms(s.Max), ms(s.Mean))
		}
	}
	return table.Flush()
}

// ms writes milliseconds with three digits.
func ms(x float64) string {
	switch {
	case x >= 10_000:
		return fmt.Sprintf("%.1f s", x/1000)
	case x >= 100:
		return fmt.Sprintf("%.0f ms", x)
	case x >= 10:
		return fmt.Sprintf("%.1f ms", x)
	default:
		return fmt.Sprintf("%.2f ms", x)
	}
}
