package bolt

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a disk has after the power went is one of many states: of the writes since the
// last sync each page may be there or not. These tests record the system calls of a
// process that writes, make every such state of the file, or many, and open it.

// event is a system call of the recorded process.
type event struct {
	call   string // pwrite64, ftruncate, sync or told
	at     int64  // of the write, or the new size
	bytes  []byte
	line   string // told by the process
	failed bool
}

func needStrace(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("strace", "-qq", "-e", "trace=none", "true").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("strace does not run: %v %s", err, out)
		}
		t.Skipf("strace does not run: %v %s", err, out)
	}
}

// record runs a child that writes to the file, with faults as strace injects them, and
// returns its system calls.
func record(t *testing.T, path string, ops int, faults ...string) []event {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace.log")
	command := []string{"strace", "-f", "-y", "-xx", "-s", "4000000", "-o", log, "-e", "trace=pwrite64,fdatasync,fsync,ftruncate,write"}
	for _, fault := range faults {
		command = append(command, "-e", "inject="+fault)
	}
	cmd, out := startChild(t, "write", path, []string{"BOLT_TEST_OPS=" + strconv.Itoa(ops)}, command...)
	var last string
	for out.Scan() {
		last = out.Text()
	}
	if err := cmd.Wait(); err != nil || last != "closed" {
		t.Fatalf("the child said %q, %v", last, err)
	}
	return parseTrace(t, log, path)
}

var (
	callLine    = regexp.MustCompile(`^(\d+)\s+(\w+)\((\d+)<([^>]*)>(?:, (?:"([^"]*)", )?(\d+)(?:, (\d+))?)?(.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$`)
)

func parseTrace(t *testing.T, log, path string) (events []event) {
	t.Helper()
	p, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	unfinished := make(map[string]string) // syncs, by process
	lines := bufio.NewScanner(bytes.NewReader(p))
	lines.Buffer(nil, len(p)+1)
	for lines.Scan() {
		line := lines.Text()
		if m := resumedLine.FindStringSubmatch(line); m != nil {
			if unfinished[m[1]] != "" {
				events = append(events, event{call: "sync", failed: strings.Contains(m[3], "= -1")})
			}
			delete(unfinished, m[1])
			continue
		}
		m := callLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name, end := unhex(t, m[4]), m[8]
		ours := name == path
		switch call := m[2]; {
		case call == "write" && m[3] == "1":
			events = append(events, event{call: "told", line: strings.TrimSpace(unhex(t, m[5]))})
		case !ours:
		case call == "pwrite64":
			at, _ := strconv.ParseInt(m[7], 10, 64)
			events = append(events, event{call: call, at: at, bytes: []byte(unhex(t, m[5])), failed: strings.Contains(end, "= -1")})
		case call == "ftruncate":
			size, _ := strconv.ParseInt(m[6], 10, 64)
			events = append(events, event{call: call, at: size, failed: strings.Contains(end, "= -1")})
		case strings.Contains(end, "unfinished"):
			unfinished[m[1]] = call
		default:
			events = append(events, event{call: "sync", failed: strings.Contains(end, "= -1")})
		}
	}
	return events
}

func unhex(t *testing.T, text string) string {
	t.Helper()
	p, err := hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
	if err != nil {
		t.Fatalf("%.80q: %v", text, err)
	}
	return string(p)
}

// diskPage is what a disk writes in one piece.
const diskPage = 4096

// disk is a file as a disk has it. Pages that are missing are zeros.
type disk struct {
	size  int64
	pages map[int64][]byte
}

func readDisk(t *testing.T, path string) disk {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := disk{int64(len(p)), make(map[int64][]byte)}
	for at := 0; at < len(p); at += diskPage {
		if page := p[at:min(at+diskPage, len(p))]; !bytes.Equal(page, make([]byte, len(page))) {
			d.pages[int64(at)] = page
		}
	}
	return d
}

func (d disk) with(writes []event) disk {
	d.pages = maps.Clone(d.pages)
	for _, w := range writes {
		if w.call == "ftruncate" {
			d.size = w.at
			continue
		}
		d.pages[w.at] = w.bytes
		d.size = max(d.size, w.at+int64(len(w.bytes)))
	}
	return d
}

func (d disk) write(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(d.size); err != nil {
		t.Fatal(err)
	}
	for at, p := range d.pages {
		if _, err := file.WriteAt(p, at); err != nil {
			t.Fatal(err)
		}
	}
}

// inPages splits a write into what the disk may write separately.
func inPages(e event) (pages []event) {
	if e.call != "pwrite64" {
		return []event{e}
	}
	for at := 0; at < len(e.bytes); at += diskPage {
		pages = append(pages, event{call: e.call, at: e.at + int64(at), bytes: e.bytes[at:min(at+diskPage, len(e.bytes))]})
	}
	return pages
}

// powerCut replays a recorded run.
type powerCut struct {
	t      *testing.T
	path   string // where the states of the disk are opened
	random *rand.Rand
	some   int // how many subsets are tried beside those that are always tried

	told    book
	pending []event
	worlds  []disk // what the disk may have for sure, after syncs that have failed
	states  int
}

// replay cuts the power before each sync has returned, and at the end.
func (c *powerCut) replay(events []event) {
	for _, e := range events {
		switch {
		case e.call == "told":
			c.told.note(e.line)
		case e.call != "sync":
			if !e.failed {
				c.pending = append(c.pending, inPages(e)...)
			}
		default:
			c.cut()
			c.sync(e.failed)
		}
	}
	c.cut()
}

// cut opens the file as the disk may have it now.
func (c *powerCut) cut() {
	for _, world := range c.worlds {
		for _, subset := range c.subsets() {
			c.open(world.with(subset))
		}
	}
}

// subsets returns which pending writes are on disk: none, all, one, all but one, and
// some at random.
func (c *powerCut) subsets() (all [][]event) {
	n := len(c.pending)
	all = append(all, nil)
	if n == 0 {
		return all
	}
	all = append(all, c.pending)
	for i := range n {
		if n > 1 && (n < 8 || i%(n/4) == 0) {
			all = append(all, c.pending[i:i+1], slices.Delete(slices.Clone(c.pending), i, i+1))
		}
	}
	for range c.some {
		all = append(all, c.randomly())
	}
	return all
}

func (c *powerCut) randomly() []event {
	return slices.DeleteFunc(slices.Clone(c.pending), func(event) bool { return c.random.IntN(2) == 0 })
}

// sync: after one that has failed the system takes pages for written that may not be,
// and does not write them again.
func (c *powerCut) sync(failed bool) {
	var worlds []disk
	for _, world := range c.worlds {
		worlds = append(worlds, world.with(c.pending))
		if failed && len(c.pending) > 0 && len(c.worlds) < 8 {
			worlds = append(worlds, world, world.with(c.randomly()))
		}
	}
	c.worlds, c.pending = worlds, nil
}

// open expects that everything is there that the process had been told is done, and
// nothing twice or half.
func (c *powerCut) open(d disk) {
	c.t.Helper()
	c.states++
	d.write(c.t, c.path)
	e, err := tryOpen(c.path)
	if err != nil {
		c.t.Fatalf("state %d: %v", c.states, err)
	}
	if err := c.told.contradicts(e); err != nil {
		c.t.Fatalf("state %d: %v", c.states, err)
	}
	closeEngine(c.t, e)
}

// inMemory returns a folder that is fast to sync, if there is one.
func inMemory(t *testing.T) string {
	folder, err := os.MkdirTemp("/dev/shm", "bolt-test")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// tracedRun records a run over a file that has been in use and cuts the power
// everywhere. It returns what the process was told.
func tracedRun(t *testing.T, ops, some int, faults ...string) book {
	t.Helper()
	folder := inMemory(t)
	path := filepath.Join(folder, "rooms.db")
	e := openEngine(t, path)
	for room, rev := range fill(t, e, 10, strings.Repeat("x", 500)) {
		if room%2 == 0 {
			swap(t, e, key(100+room), 0, "y")
		} else if err := e.Delete(t.Context(), key(room), rev); err != nil {
			t.Fatal(err)
		}
	}
	for room := range childRooms {
		_, rev, _ := e.Load(t.Context(), key(room))
		swap(t, e, key(room), rev, "")
	}
	closeEngine(t, e)
	before := readDisk(t, path)
	seed := rand.Uint64()
	c := &powerCut{
		t: t, path: filepath.Join(folder, "cut.db"), random: rand.New(rand.NewPCG(seed, 0)),
		some: some, told: make(book), worlds: []disk{before},
	}
	events := record(t, path, ops, faults...)
	writes, syncs, failed := 0, 0, 0
	for _, e := range events {
		switch {
		case e.call == "sync" && e.failed:
			failed++
		case e.call == "sync":
			syncs++
		case e.call == "pwrite64":
			writes++
		}
	}
	if writes < ops || syncs == 0 {
		t.Fatalf("%d writes, %d syncs are recorded", writes, syncs)
	}
	c.replay(events)
	t.Logf("seed %d: %d writes, %d syncs of which %d failed, %d states of the disk", seed, writes, syncs, failed, c.states)
	e = openEngine(t, path)
	if err := c.told.contradicts(e); err != nil {
		t.Error(err)
	}
	return c.told
}

// Whatever the disk has when the power goes, everything that was acknowledged is in
// the file, and nothing half.
func TestPowerCuts(t *testing.T) {
	needStrace(t)
	for room, of := range tracedRun(t, 6, 4) {
		if len(of.done) != 6 {
			t.Errorf("room %s: %d operations are done", room, len(of.done))
		}
	}
}

// A sync that fails, once or from then on, for the pages or for the meta page: what is
// acknowledged is in the file, what is refused never, then and after any power cut later.
// When the disk is well again, so is the engine.
func TestFailedSyncs(t *testing.T) {
	needStrace(t)
	done, refused, unknown := 0, 0, 0
	for n := 1; n <= 3; n++ {
		for _, fault := range []string{"fdatasync:error=EIO:when=FIRST", "fdatasync,fsync:error=EIO:when=FIRST..LAST"} {
			fault := strings.NewReplacer("FIRST", strconv.Itoa(n+1), "LAST", strconv.Itoa(n+4)).Replace(fault) // the first sync is that of opening
			t.Run(fault, func(t *testing.T) {
				for _, of := range tracedRun(t, 4, 1, fault) {
					done, refused, unknown = done+len(of.done), refused+len(of.refused), unknown+len(of.open)
				}
			})
		}
	}
	t.Logf("%d operations are done, %d refused, %d were unknown for a time", done, refused, unknown)
	if done == 0 || refused == 0 || unknown == 0 {
		t.Error("not all outcomes have been seen")
	}
}

// A disk that is full when the file is to grow or to be written refuses, and nothing of that
// is ever in the file.
func TestFullDisk(t *testing.T) {
	needStrace(t)
	for _, fault := range []string{"pwrite64:error=ENOSPC:when=4", "pwrite64:error=ENOSPC:when=6+3", "ftruncate:error=ENOSPC:when=2"} {
		t.Run(fault, func(t *testing.T) {
			refused := 0
			for _, of := range tracedRun(t, 8, 1, fault) {
				refused += len(of.refused)
			}
			if refused == 0 && !strings.Contains(fault, "ftruncate") { // which is not always needed twice
				t.Error("nothing was refused")
			}
		})
	}
}
