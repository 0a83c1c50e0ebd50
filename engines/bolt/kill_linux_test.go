package bolt

import (
	"math/rand/v2"
	"syscall"
	"testing"
)

// kills is how often a writing process is killed.
const kills = 30

// A process that is killed while it writes loses nothing that it was told is
// done.
func TestKilledWriterLosesNothing(t *testing.T) {
	path, told, done := temporary(t), make(book), 0
	for range kills {
		cmd, out := startChild(t, "write", path, []string{"BOLT_TEST_OPS=1000000"})
		left := 1 + rand.IntN(100)
		for left > 0 && out.Scan() {
			told.note(out.Text())
			left--
		}
		if left > 0 {
			t.Fatalf("the child ended: %v", out.Err())
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for out.Scan() { // what was written before it was killed
			told.note(out.Text())
		}
		cmd.Wait()
		e := openEngine(t, path)
		if err := told.contradicts(e); err != nil {
			t.Fatal(err)
		}
		closeEngine(t, e)
	}
	for room, of := range told {
		done += len(of.done)
		if len(of.done) == 0 || len(of.refused)+len(of.open) > 0 {
			t.Errorf("room %s: %d done, %d refused, %d unknown", room, len(of.done), len(of.refused), len(of.open))
		}
	}
	t.Logf("%d operations in %d lives", done, kills)
}
