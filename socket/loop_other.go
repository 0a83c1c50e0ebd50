//go:build !linux || nopoll

package socket

import "net"

// polled is the link of a connection that a loop serves; here there are none.
type polled struct{ link }

func newPolled(net.Conn, *Conn) *polled { return nil }

func (*polled) start([]byte)     {}
func (*polled) readOn()          {}
func (*polled) watchWrites(bool) {}
