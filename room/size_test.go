package room

import (
	"testing"
	"unsafe"
)

// A member is there for every connection: what few need is behind a pointer.
func TestMemberIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Member{}); unsafe.Sizeof(uintptr(0)) == 8 && size > 160 {
		t.Errorf("a member has %d bytes", size)
	}
}
