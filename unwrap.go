package caddyws

import (
	"net"
	"reflect"
)

// passThrough lists the types around a hijacked connection that do nothing more
// than count or watch bytes once it is hijacked, each with where it is from.
// Any other type may hold bytes back or count on its methods being called, and
// stays.
var passThrough = map[string]bool{
	"*caddyhttp.hijackedConn": true, // Caddy's response recorder: counts for the access log, and holds the request
	"*caddyhttp.http2Conn":    true, // Caddy's listener with only HTTP/1 enabled: watches the first bytes
}

// unwrap returns the connection below wrappers that need not be there, so that
// a plain TCP connection can be treated as one and the request is not kept.
func unwrap(conn net.Conn) net.Conn {
	for passThrough[reflect.TypeOf(conn).String()] {
		inner, ok := reflect.TypeAssert[net.Conn](reflect.ValueOf(conn).Elem().FieldByName("Conn"))
		if !ok {
			return conn
		}
		conn = inner
	}
	return conn
}
