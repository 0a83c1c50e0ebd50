// Package client opens WebSocket connections for the commands `caddy websocket
// connect` and `caddy websocket bench`, and says in words how they end.
//
// It is a client like any other: it knows a URL and nothing of the server behind it.
// Frames are gorilla's business, so that the commands do not judge this module by
// this module's own code.
//
//	target.go      what the user wrote -> the URL
//	flags.go       the flags that both commands have -> Options
//	handshake.go   Options -> a connection
//	refused.go     why there is none
//	ending.go      how a connection ended
//	printable.go   text of a server for a terminal
//
// **Nothing that a server sends is shown as it came**: errors have it in a form that a
// terminal shows and does not obey.
package client
