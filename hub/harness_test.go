package hub_test

import "github.com/caddyws/caddy-websocket/frames"

func binaryFrame(p string) []byte {
	return frames.AppendMasked(nil, frames.Header{Fin: true, Opcode: frames.Binary}, []byte(p))
}
