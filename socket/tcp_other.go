//go:build !unix

package socket

import "net"

func newLink(conn net.Conn) link { return &netConn{conn: conn} }
