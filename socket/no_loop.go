//go:build !linux || nopoll

package socket

import "net"

// Here there are no loops: goroutines serve all connections.

func startOnLoop(*Conn, Transport) bool { return false }

func newTLSLink(net.Conn, *goroutineDriver) link { return nil }
