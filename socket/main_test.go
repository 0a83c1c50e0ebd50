package socket

import (
	"testing"

	"go.uber.org/goleak"
)

// Every goroutine that a test of this package leads to has ended at its end.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
