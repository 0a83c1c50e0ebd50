package measure

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// barWidth is how many characters a whole bar has.
const barWidth = 20

// showProgress keeps a line on a terminal that tells how far a run is. The function that
// it returns takes the line away.
func showProgress(w io.Writer, r *run) (end func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_, _ = io.WriteString(w, "\r\x1b[K"+r.progress()) // the terminal may have gone
			case <-done:
				_, _ = io.WriteString(w, "\r\x1b[K")
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// progress is a line that tells how far the run is.
func (r *run) progress() string {
	t := r.tally
	opened := t.connected.Load()
	start := r.start()
	if start == 0 {
		return fmt.Sprintf("%s connecting, %s of %s", bar(float64(opened)/float64(r.connections)), humanize.Comma(opened), humanize.Comma(int64(r.connections)))
	}
	sending := min(r.now()-start, r.duration)
	line := fmt.Sprintf("%s %s of %s, %s sent, %s answered", bar(float64(sending)/float64(r.duration)),
		sending.Truncate(time.Second), r.duration, humanize.Comma(t.sent.Load()), humanize.Comma(t.answered.Load()))
	if lost := t.lost.Load(); lost > 0 {
		line += ", " + humanize.Comma(lost) + " connections lost"
	}
	return line
}

func bar(part float64) string {
	n := int(part * barWidth)
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", barWidth-n) + "]"
}
