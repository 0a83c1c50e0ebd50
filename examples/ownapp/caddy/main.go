// Command caddy is Caddy with the websocket directive and the auction.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyws/caddy-websocket"

	_ "example.com/auction"
)

func main() { caddycmd.Main() }
