package blackbox

import (
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Operation k adds 4 to the power of k. So each digit of the total, to the base of 4,
// tells how often one operation was counted.

// operations is how many a room can take: the last one has 30 decimal digits.
const operations = 50

// power is what operation k adds.
func power(k int) string {
	return new(big.Int).Lsh(big.NewInt(1), uint(2*k)).String()
}

// digits is how often each operation is counted in a total.
func digits(total string) (counts [operations]int, err error) {
	n, ok := new(big.Int).SetString(total, 10)
	if !ok || n.Sign() < 0 {
		return counts, odd("%q is not the total of such operations", total)
	}
	text := n.Text(4)
	if len(text) > operations {
		return counts, odd("%q is more than all operations", total)
	}
	for i, digit := range text {
		counts[len(text)-1-i] = int(digit - '0')
	}
	return counts, nil
}

// digitRoom has writers that share the operations of a room.
type digitRoom struct {
	path    string
	writers []*writer
}

// shares is how many writers share the operations of a room.
const shares = 5

// digitRooms adds writers to a crew, for so many rooms.
func digitRooms(c *crew, rooms int, ids bool) (all []digitRoom) {
	for i := range rooms {
		r := digitRoom{path: fmt.Sprintf("/sum/digits-%t-%d", ids, i)}
		for j := range shares {
			c.add(writer{
				name: fmt.Sprintf("d%d-%d", i, j), path: r.path, ids: ids, post: j%2 == 0,
				most: operations / shares, value: func(n int) string { return power((n-1)*shares + j) },
			})
		}
		r.writers = c.writers[len(c.writers)-shares:]
		all = append(all, r)
	}
	return all
}

// check compares a total with what the writers were told: what was acknowledged is
// counted once, what was refused is not, and nothing is counted twice. With ids all
// was acknowledged in the end.
func (r digitRoom) check(t *testing.T, total string) (acked, refused, unknown int) {
	t.Helper()
	counts, err := digits(total)
	if err != nil {
		t.Fatal(err)
	}
	for j, w := range r.writers {
		for n := 1; n <= w.sent; n++ {
			count, a := counts[(n-1)*shares+j], w.answers[n]
			ok := false
			switch {
			case a.Type == "reply":
				acked, ok = acked+1, count == 1
			case w.ids:
			case a.Code == "unavailable":
				refused, ok = refused+1, count == 0
			case a.Code == "unknown":
				unknown, ok = unknown+1, count <= 1
			}
			if !ok {
				t.Errorf("%s: operation %d of %s is counted %d times, and was answered with %+v", r.path, n, w.name, count, a)
			}
		}
		if w.sent != w.most {
			t.Errorf("%s has sent %d operations", w.name, w.sent)
		}
	}
	return acked, refused, unknown
}

// watcher looks at a room again and again. What it has seen once must stay.
type watcher struct {
	path    string
	version uint64
	counts  [operations]int
	looks   int
}

func (w *watcher) look(s *server) error {
	state, shown, err := s.peek(w.path)
	if err != nil || !shown {
		return err
	}
	counts, err := digits(state.Total.String())
	if err != nil {
		return err
	}
	for k := range counts {
		if counts[k] < w.counts[k] || counts[k] > 1 {
			return odd("operation %d is shown as counted %d times, then %d times: %s", k, w.counts[k], counts[k], state.raw)
		}
	}
	if state.Version < w.version {
		return odd("version %d is shown after %d", state.Version, w.version)
	}
	w.counts, w.version, w.looks = counts, state.Version, w.looks+1
	return nil
}

// watchRooms has watchers look at rooms until it is told to stop.
func (s *server) watchRooms(t *testing.T, rooms []digitRoom) (stop func() []*watcher) {
	told := make(chan struct{})
	var done sync.WaitGroup
	var all []*watcher
	for _, r := range rooms {
		w := &watcher{path: r.path}
		all = append(all, w)
		done.Go(func() {
			for {
				if err := w.look(s); err != nil {
					t.Errorf("%s: %v", w.path, err)
					return
				}
				select {
				case <-told:
					return
				default:
				}
			}
		})
	}
	stop = sync.OnceValue(func() []*watcher {
		close(told)
		done.Wait()
		return all
	})
	t.Cleanup(func() { stop() })
	return stop
}

// peek is state for any goroutine. Nothing is shown while the file cannot be read.
func (s *server) peek(path string) (state told, shown bool, err error) {
	request, err := http.NewRequest(http.MethodGet, s.url(path), nil)
	if err != nil {
		return told{}, false, err
	}
	request.Header.Set("Accept", "application/json")
	status, body, err := s.fetch(request)
	switch {
	case err != nil, status == http.StatusServiceUnavailable:
		return told{}, false, err
	case status != http.StatusOK:
		return told{}, false, odd("GET %s: %d %q", path, status, body)
	}
	state, err = parseTold(body)
	return state, true, err
}

// Whatever sync of the disk fails, nothing is counted twice, what is acknowledged is
// counted, and what is refused is not. Clients with ids send again what was refused,
// over the same connection, until all is counted. Nobody is shown what is not on disk.
func TestFailingDisk(t *testing.T) {
	for name, fault := range map[string]string{
		"every second sync":            "fdatasync:error=EIO:when=1+2",
		"every third sync":             "fdatasync:error=EIO:when=2+3",
		"every seventh sync":           "fdatasync:error=EIO:when=2+7",
		"every third, opening as well": "fdatasync,fsync:error=EIO:when=3+3", // Caddy itself has one, before or behind that of the opening
	} {
		t.Run(name, func(t *testing.T) {
			through := failing(t, fault)
			s := start(t, writersConfig)
			s.tolerates = []string{"rooms cannot be stored", "input/output error"}
			s.stop()
			s.again(t, through...)
			c := &crew{returns: true}
			rooms := append(digitRooms(c, 4, true), digitRooms(c, 4, false)...)
			stop := s.watchRooms(t, rooms)
			c.begin(s.address())
			c.wait(t)
			watchers := stop()
			s.log.wait(t, "rooms cannot be stored")
			s.kill(t)
			s.again(t)
			acked, refused, unknown, looks := 0, 0, 0, 0
			for i, r := range rooms {
				a, b, c := r.check(t, s.state(t, r.path).Total.String())
				acked, refused, unknown, looks = acked+a, refused+b, unknown+c, looks+watchers[i].looks
				if err := watchers[i].look(s); err != nil {
					t.Errorf("%s, after a kill: %v", r.path, err)
				}
			}
			t.Logf("%d operations are acknowledged, %d refused, %d unknown; %d states were looked at", acked, refused, unknown, looks)
			if acked == 0 || refused+unknown == 0 || looks < len(rooms) {
				t.Error("not enough has happened")
			}
		})
	}
}

func TestDigits(t *testing.T) {
	total := new(big.Int)
	for k, times := range []int{1, 0, 3, 1} {
		n, _ := new(big.Int).SetString(power(k), 10)
		total.Add(total, n.Mul(n, big.NewInt(int64(times))))
	}
	counts, err := digits(total.String())
	if err != nil || fmt.Sprint(counts[:5]) != "[1 0 3 1 0]" {
		t.Errorf("the digits of %s are %v, %v", total, counts, err)
	}
	if _, err := digits(strings.Repeat("9", 31) + strconv.Itoa(0)); err == nil {
		t.Error("too large a total is taken")
	}
}
