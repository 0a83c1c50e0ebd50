package replica

import (
	"testing"

	"github.com/caddyws/caddy-websocket/engines"
)

// Rooms of a copy have other epochs, stored or not, whatever copies it is a copy of.
func TestAMarkedStore(t *testing.T) {
	r := newStoredRoom(t)
	_, rev, _ := r.engine.Engine.Load(t.Context(), key)
	other := engines.Key{App: "test", Room: "not stored"}
	seen := make(map[string]bool)
	for _, mark := range []string{"", "a", "b", "ab"} {
		s := &Store{Engine: &r.engine.Engine, Limit: new(limit), Mark: mark, epochs: epochs{secret: []byte("secret")}}
		for _, key := range []engines.Key{key, other} {
			copied := New(key, s, r.report)
			for range 2 {
				if err := copied.Load(t.Context(), r.app, "route"); err != nil {
					t.Fatal(err)
				}
			}
			epoch := copied.Snapshot().Epoch
			if len(epoch) != epochSize || seen[epoch] {
				t.Errorf("mark %q: epoch %q was seen before", mark, epoch)
			}
			seen[epoch] = true
		}
	}
	// What is shown stays when the room is stored, and is what points are compared with.
	s := &Store{Engine: &r.engine.Engine, Limit: new(limit), Mark: "a"}
	copied := &room{Replica: New(other, s, r.report), T: t}
	if err := copied.Load(t.Context(), r.app, "route"); err != nil {
		t.Fatal(err)
	}
	epoch := copied.Snapshot().Epoch
	copied.does(do("c:1@"+epoch+"-0=1", "d:1@"+copied.stored.epoch+"-0=1"), "1@1", mayHave)
	if got := copied.Snapshot().Epoch; got != epoch || copied.stored.epoch == epoch {
		t.Errorf("epoch %s was %s, %s is stored", got, epoch, copied.stored.epoch)
	}
	if _, now, _ := r.engine.Engine.Load(t.Context(), key); now != rev {
		t.Error("looking at the copy has changed it")
	}
}

// A room that another process deletes is counted again.
func TestDeletedByAnotherProcess(t *testing.T) {
	r := newStoredRoom(t)
	rival := r.rival()
	if err := rival.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Load(t.Context(), r.app, "route"); err != nil || r.IsStored() {
		t.Error(err)
	}
	r.counts(1, 1)
	r.shows("0@0")
}
