package socket

import (
	"testing"
	"unsafe"
)

// An idle connection is little more than its Conn, so each field counts. Go has
// 384 bytes for it, and 416 for one byte more.
func TestConnIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); unsafe.Sizeof(uintptr(0)) == 8 && size > 384 {
		t.Errorf("a Conn has %d bytes", size)
	}
}
