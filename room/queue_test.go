package room

import (
	"testing"

	"github.com/caddyws/caddy-websocket/replica"
)

// Members take turns, and a member that was not served when a batch was full comes
// first in the next.
func TestBatchesAreFair(t *testing.T) {
	var q operationQueue
	members := make([]*Member, maxBatch+2)
	for i := range members {
		members[i] = new(Member)
		for n := range 3 {
			q.push(operation{replica.Operation{Data: []byte{byte(n)}}, members[i], nil, nil})
		}
	}
	count := make(map[*Member]int)
	total := 3 * len(members)
	for left := total; left > 0; {
		batch := q.take(maxBatch)
		if len(batch) != min(maxBatch, left) {
			t.Fatalf("a batch of %d with %d left", len(batch), left)
		}
		for _, op := range batch {
			served := total - left
			if want := served / len(members); count[op.from] != want || int(op.Data[0]) != want {
				t.Fatalf("operation %d is the one numbered %d of a member served %d times", served, op.Data[0], count[op.from])
			}
			count[op.from]++
			left--
		}
	}
	if q.count != 0 || q.size != 0 || len(q.members) != 0 {
		t.Errorf("%d operations of %d bytes by %d members are left", q.count, q.size, len(q.members))
	}
}
