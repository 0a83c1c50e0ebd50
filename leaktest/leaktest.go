// Package leaktest fails the tests of a package that leave goroutines behind. Goroutines that
// are just ending have a minute for that: a busy machine may need it.
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long the end of goroutines is waited for.
const patience = time.Minute

// Main runs all tests, looks for what they have left, and exits.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		if err := Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// Find returns an error that tells of goroutines if some do not end.
func Find(options ...goleak.Option) error {
	for end := time.Now().Add(patience); ; {
		if err := goleak.Find(options...); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// IgnoreLoops leaves out the loops of package socket, which last as long as the process.
func IgnoreLoops() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/caddyws/caddy-websocket/socket.(*loop).run")
}
