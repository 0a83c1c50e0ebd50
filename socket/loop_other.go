//go:build !linux || nopoll

package socket

import (
	"errors"
	"net"
)

// Here there are no loops: goroutines serve all connections.

type polled struct{ link }

func newPolled(net.Conn, *Conn) *polled { return nil }

func (*polled) keep([]byte)      {}
func (*polled) start()           {}
func (*polled) readOn()          {}
func (*polled) watchWrites(bool) {}

func newSecure(net.Conn, *Conn) link { return nil }

var errCold = errors.New("connection has turned cold") // never
