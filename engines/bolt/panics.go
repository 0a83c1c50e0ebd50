package bolt

import (
	"fmt"
	"runtime/debug"
)

// guard calls a function that uses bbolt. A panic, and a page that cannot be read, of
// which the operating system makes a fault of memory, is an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	return f()
}

// panicError is what was recovered from.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("the file is damaged or cannot be read: %v\n%s", e.value, e.stack)
}
