package hub

import (
	"fmt"
	"runtime/debug"
)

// recovered turns a panic of an app or an engine into an error with its stack.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}
