// Command caddy is Caddy with this module and all of its standard ones, for
// development and for trying it out. For production build Caddy with xcaddy.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyws/caddy-websocket"
)

func main() { caddycmd.Main() }
