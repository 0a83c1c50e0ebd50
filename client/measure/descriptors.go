package measure

import "fmt"

// spare is how many descriptors a process needs beside its connections: standard ones,
// those of Go's poller, and of handshakes that have just failed.
const spare = 32

// checkDescriptors refuses more connections than this process can have.
func checkDescriptors(connections int, limit uint64) error {
	need := uint64(connections) + spare
	if need <= limit {
		return nil
	}
	return fmt.Errorf("%d connections need %d open files, and this process may have %d: raise it with `ulimit -n %d`, for the server too, or ask for fewer --connections",
		connections, need, limit, need)
}
