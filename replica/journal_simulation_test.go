package replica

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyws/caddy-websocket/engines/enginestest"
)

// newsroom is some processes that publish into one room over a network, now and then crash,
// and remove what is not kept any more.
type newsroom struct {
	*testing.T
	seed    uint64
	network *enginestest.Network
	journal Journal
	writers sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	texts   map[uint64]string // by version, as some process has heard it
	acked   map[string]uint64 // version of each message that was acknowledged
	refused map[string]bool   // with certainty, and not tried again
	wrong   []string
}

func (n *newsroom) fault(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wrong = append(n.wrong, fmt.Sprintf(format, args...))
}

// hear notes what a process has heard: the same as every other, in order.
func (n *newsroom) hear(last uint64, fresh []Kept) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, kept := range fresh {
		if kept.Version <= last {
			n.wrong = append(n.wrong, fmt.Sprintf("version %d is heard after %d", kept.Version, last))
		}
		last = kept.Version
		if before, ok := n.texts[last]; ok && before != string(kept.Text) {
			n.wrong = append(n.wrong, fmt.Sprintf("version %d is %s and %s", last, before, kept.Text))
		}
		n.texts[last] = string(kept.Text)
	}
	return last
}

// desk is a process with one writer, which retries each of its messages until it has an
// answer.
type desk struct {
	*newsroom
	name    string
	chance  *enginestest.Chance
	replica *Replica
	last    uint64
}

func (d *desk) start() {
	d.last = 0
	d.replica = New(key, &Store{Engine: d.network, Log: d.network, Limit: new(limit)}, func(error) {})
	for d.replica.Load(context.Background(), d.journal, "route") != nil {
	}
}

func (d *desk) run(messages int) {
	defer d.writers.Done()
	d.start()
	for i := 1; i <= messages; i++ {
		text := fmt.Sprintf("%s:%d", d.name, i)
		op := Operation{Data: []byte(text), Said: &Said{Text: []byte(text)}}
		if op.Once = (&Once{ID: ID{d.name, uint64(i)}}); d.chance.Percent(20) {
			op.Refusal, op.ByApp, op.Said = errors.New(text), true, nil
		}
		other := fmt.Sprintf("%s has no id, %d", d.name, i)
		d.publish(op, Operation{Data: []byte(other), Said: &Said{Text: []byte(other)}})
	}
}

// publish sends one operation until it has an answer, and the first time another with it.
func (d *desk) publish(op, other Operation) {
	batch := []Operation{other, op}
	for unsure := false; ; batch = []Operation{op} {
		ctx, cancel := context.WithCancel(context.Background())
		crashes := d.chance.Percent(5)
		if crashes {
			time.AfterFunc(d.chance.UpTo(20*time.Millisecond), cancel)
		}
		results := d.replica.Commit(ctx, batch)
		cancel()
		if crashes {
			d.start()
			unsure = true
			continue
		}
		fresh, _ := d.replica.Fresh()
		d.last = d.hear(d.last, fresh)
		if d.last > 0 && d.replica.IsSettled() && d.last != d.replica.Snapshot().Version {
			d.fault("%d is heard at version %d", d.last, d.replica.Snapshot().Version)
		}
		if len(batch) == 2 {
			d.note(string(other.Data), results[0])
		}
		res := results[len(results)-1]
		var e *Error
		switch errors.As(res.Err, &e); {
		case res.Err == nil:
			d.note(string(op.Data), res)
			if res.Repeat && !unsure {
				d.fault("%s was not sent before", op.Data)
			}
			return
		case op.Refusal != nil && res.Err.Error() == op.Refusal.Error():
			return
		case e != nil && e.Code == CodeUnknown:
			unsure = true
		case e == nil || e.Code != CodeUnavailable:
			d.fault("%s: %v", op.Data, res.Err)
			return
		}
		time.Sleep(d.chance.UpTo(100 * time.Millisecond))
		trim, _, err := d.replica.Tidy(context.Background())
		if trim != nil {
			err = trim(context.Background())
		}
		if err == nil && d.chance.Percent(10) {
			_, _ = d.replica.storeAnew(context.Background(), time.Now().Unix())
		}
	}
}

func (n *newsroom) note(text string, res Result) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case res.Err == nil:
		n.acked[text] = res.Version
	case errors.Is(res.Err, ErrUnavailable):
		n.refused[text] = true
	}
}

// TestSimulationOfMessages: what is acknowledged is in the log once and at the version that
// was told, what is refused never; all processes hear the same.
func TestSimulationOfMessages(t *testing.T) {
	seeds(t, 300, func(seed uint64) {
		synctest.Test(t, func(t *testing.T) { simulateMessages(t, seed) })
	})
}

func simulateMessages(t *testing.T, seed uint64) {
	chance := enginestest.NewChance(seed)
	n := &newsroom{
		T: t, seed: seed, network: &enginestest.Network{Chance: chance, Faults: chance.Below(12)},
		journal: Journal{Messages: 10000},
		texts:   make(map[uint64]string), acked: make(map[string]uint64), refused: make(map[string]bool),
	}
	for i := range 1 + chance.Below(3) {
		d := &desk{newsroom: n, name: fmt.Sprint("desk", i), chance: enginestest.NewChance(seed<<8 + uint64(i))}
		n.writers.Add(1)
		go d.run(5 + chance.Below(15))
	}
	n.writers.Wait()
	time.Sleep(time.Minute) // for what lands late
	n.check()
	if len(n.wrong) > 0 {
		t.Errorf("seed %d:\n%s\nto repeat: REPLICA_SEED=%d go test -run TestSimulationOfMessages ./replica", seed, strings.Join(n.wrong, "\n"), seed)
	}
}

func (n *newsroom) check() {
	r := New(key, &Store{Engine: &n.network.Engine, Log: &n.network.Engine, Limit: new(limit)}, func(err error) { n.fault("%v", err) })
	if err := r.Load(context.Background(), n.journal, "route"); err != nil {
		n.fault("%v", err)
		return
	}
	all, err := r.Past().Read(context.Background(), 0, 1<<20, 1<<30)
	if err != nil || uint64(len(all)) != r.Snapshot().Version {
		n.fault("%d messages at version %d, %v", len(all), r.Snapshot().Version, err)
	}
	versions := make(map[string]uint64)
	for _, kept := range all {
		text := string(kept.Text)
		if versions[text] != 0 {
			n.fault("%s is there twice", text)
		}
		versions[text] = kept.Version
		if heard, ok := n.texts[kept.Version]; ok && heard != text {
			n.fault("version %d is %s, and %s was heard", kept.Version, text, heard)
		}
		if n.refused[text] {
			n.fault("%s was refused", text)
		}
	}
	for text, version := range n.acked {
		if versions[text] != version {
			n.fault("%s was acknowledged at %d and is at %d", text, version, versions[text])
		}
	}
}
