package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

// child is the other process. It tells on stdout, in one write a line, what it has
// done.
func child(mode, path string) {
	switch mode {
	case "open":
		runtime.LockOSThread() // so that its system calls can be counted
		childOpens(path, tryOpen, func(*Engine) {})
	case "hold":
		childOpens(path, tryOpen, func(*Engine) { _, _ = io.Copy(io.Discard, os.Stdin) })
	case "write":
		ops, _ := strconv.Atoi(os.Getenv("BOLT_TEST_OPS"))
		childOpens(path, openOnOneThread, func(e *Engine) { childWrites(e, ops) })
	}
}

func childOpens(path string, open func(string) (*Engine, error), then func(*Engine)) {
	e, err := open(path)
	if err != nil {
		fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Println("open")
	then(e)
	if err := e.Close(); err != nil {
		fmt.Println("error", err)
	}
	fmt.Println("closed")
}

// openOnOneThread is tryOpen with a committer that stays on the thread that opens the
// file: strace counts the system calls of each thread by itself.
func openOnOneThread(path string) (e *Engine, err error) {
	opened := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if e, err = openLocked(context.Background(), (&Opener{Path: path}).Identity()); err != nil {
			close(opened)
			return
		}
		e.committer.Add(1)
		defer e.committer.Done()
		close(opened)
		e.run()
	}()
	<-opened
	return e, err
}

// childRooms is how many rooms a child writes to at the same time.
const childRooms = 4

// childWrites adds operations to each room, and tells for each one what has become
// of it, and what a reader sees.
func childWrites(e *Engine, ops int) {
	var writers, readers sync.WaitGroup
	over := make(chan struct{})
	for room := range childRooms {
		w := &writer{e: e, key: key(room), room: room, pid: os.Getpid()}
		writers.Go(func() {
			for op := range ops {
				w.add(op)
			}
		})
		readers.Go(func() { w.watch(over) })
	}
	writers.Wait()
	close(over)
	readers.Wait()
}

// writer adds to one room.
type writer struct {
	e         *Engine
	key       engines.Key
	room, pid int
}

func (w *writer) tell(what, op string) { fmt.Println(what, w.room, op) }

// add stores one operation and settles what is unknown, as callers do: until something
// newer than what it met is there, the same bytes are stored again.
func (w *writer) add(n int) {
	op := fmt.Sprintf("%d.%d", w.pid, n)
	ops, mark, err := readLedger(w.e, w.room)
	if err != nil && !errors.Is(err, engines.ErrNotFound) {
		return
	}
	for unknown := false; ; {
		err = w.store(ops, mark, op)
		if err == nil {
			w.tell("done", op)
			return
		}
		if errors.Is(err, engines.ErrRefused) && !unknown {
			w.tell("refused", op)
			return
		}
		unknown = true
		w.tell("unknown", op)
		ops, now, err := readLedger(w.e, w.room)
		if err != nil && !errors.Is(err, engines.ErrNotFound) {
			return // until the disk is better; it stays unknown
		}
		if now != mark {
			w.tell(map[bool]string{true: "done", false: "refused"}[ops.endsWith(op)], op)
			return
		}
	}
}

// keepsLog reports whether a room of children keeps its operations in a log, and not in its
// state.
func keepsLog(room int) bool { return room%2 == 1 }

const childEpoch = "EPOCHONE"

// readLedger returns the operations of a room, and the revision or position as of which.
func readLedger(e *Engine, room int) (ops ledger, mark uint64, err error) {
	if !keepsLog(room) {
		p, rev, err := e.Load(context.Background(), key(room))
		return parseLedger(p), rev, err
	}
	entries, _, last, err := e.Read(context.Background(), key(room), childEpoch, 0, 1<<20)
	for _, entry := range entries {
		ops = append(ops, string(entry))
	}
	return ops, last, err
}

// store stores one more operation over what readLedger has returned.
func (w *writer) store(ops ledger, mark uint64, op string) error {
	ctx := context.Background()
	if !keepsLog(w.room) {
		_, err := w.e.Swap(ctx, w.key, mark, value(ops.with(op)))
		return err
	}
	if mark == 0 { // the log needs a room
		if _, err := w.e.Swap(ctx, w.key, 0, value("")); err != nil && !errors.Is(err, engines.ErrConflict) {
			return fmt.Errorf("%w: %w", engines.ErrRefused, err)
		}
	}
	_, err := w.e.Append(ctx, w.key, childEpoch, mark, [][]byte{[]byte(op)})
	return err
}

// watch tells each operation that is shown as the newest.
func (w *writer) watch(over <-chan struct{}) {
	for last := ""; ; {
		select {
		case <-over:
			return
		default:
		}
		ops, _, err := readLedger(w.e, w.room)
		if err == nil && len(ops) > 0 && ops[len(ops)-1] != last {
			last = ops[len(ops)-1]
			w.tell("shown", last)
		}
	}
}

// startChild runs the child, behind a command such as strace. It is killed in the end.
func startChild(t *testing.T, mode, path string, env []string, before ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := append(before, self)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(append(os.Environ(), "BOLT_TEST_CHILD="+mode, "BOLT_TEST_FILE="+path), env...)
	cmd.Stderr = os.Stderr
	if testing.Verbose() {
		cmd.Stderr = os.Stderr
	}
	out, err := cmd.StdoutPipe()
	if err == nil && mode == "hold" {
		_, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

// told is what a child has told of one room.
type told struct {
	done, refused, open map[string]bool
}

// book has what children told, by room.
type book map[string]*told

func (b book) note(line string) {
	what, rest, _ := strings.Cut(line, " ")
	room, op, ok := strings.Cut(rest, " ")
	if !ok {
		return
	}
	if b[room] == nil {
		b[room] = &told{make(map[string]bool), make(map[string]bool), make(map[string]bool)}
	}
	switch of := b[room]; what {
	case "done", "shown": // which must be there from now on
		of.done[op] = true
	case "refused":
		of.refused[op] = true
	case "unknown":
		of.open[op] = true
	}
}

// contradicts returns what a file tells that is not what its writers were told.
func (b book) contradicts(e *Engine) error {
	for room := range childRooms {
		of := b[strconv.Itoa(room)]
		if of == nil {
			continue
		}
		ops, _, err := readLedger(e, room)
		if err != nil && (len(of.done) > 0 || !errors.Is(err, engines.ErrNotFound)) {
			return fmt.Errorf("room %d: %w", room, err)
		}
		if op := ops.twice(); op != "" {
			return fmt.Errorf("room %d has operation %s twice", room, op)
		}
		there := make(map[string]bool)
		for _, op := range ops {
			there[op] = true
			if of.refused[op] {
				return fmt.Errorf("room %d has operation %s, which was refused", room, op)
			}
		}
		for op := range of.done {
			if !there[op] {
				return fmt.Errorf("room %d lacks operation %s, which was acknowledged", room, op)
			}
		}
	}
	return sound(e)
}
