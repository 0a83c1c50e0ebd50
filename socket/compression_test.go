package socket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
)

// clientDeflated is a message as a client sends it that compresses it by itself,
// with a library that is not ours.
func clientDeflated(op frames.Opcode, payload string) []byte {
	return clientCompressed(true, op, deflatedPieces(payload)[0])
}

// clientCompressed is one frame of a compressed message.
func clientCompressed(fin bool, op frames.Opcode, payload string) []byte {
	h := frames.Header{Fin: fin, Opcode: op, Key: [4]byte{3, 0x88, 5, 0xff}}
	if op != frames.Continuation {
		h.RSV = frames.RSV1
	}
	return frames.AppendMasked(nil, h, []byte(payload))
}

// deflatedPieces compresses a message piece by piece, flushing each.
func deflatedPieces(pieces ...string) (payloads []string) {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 9)
	for i, p := range pieces {
		out.Reset()
		_, _ = w.Write([]byte(p))
		_ = w.Flush()
		if i == len(pieces)-1 {
			out.Truncate(out.Len() - 4)
		}
		payloads = append(payloads, out.String())
	}
	return payloads
}

// incompressible is what nothing compresses.
func incompressible(n int) string {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(p)
	return string(p)
}

// The limit on a message is on what it becomes. The bytes that it comes in have
// one that no message within the limit meets, however badly it compresses and
// however often its sender flushes, and that what never becomes one does.
func TestAssemblerLimitsCompressedMessages(t *testing.T) {
	c := newCompression(1, frames.Deflate{Agreed: true, ServerNoContextTakeover: true, ClientNoContextTakeover: true})
	whole := func(n int) []string { return []string{fmt.Sprintf("binary %q", incompressible(n))} }
	flushed := deflatedPieces(strings.Split(incompressible(testLimit), "")...)
	var crumbs []byte
	for i, p := range flushed {
		crumbs = append(crumbs, clientCompressed(i == len(flushed)-1, []frames.Opcode{frames.Binary, frames.Continuation}[min(i, 1)], p)...)
	}
	empty := strings.Repeat("\x00\x00\x00\xff\xff", 10_000)
	for _, test := range []struct {
		name   string
		stream []byte
		want   said
	}{
		{"995 bytes of noise", clientDeflated(frames.Binary, incompressible(995)), said{whole(995), nil}},
		{"noise of the limit", clientDeflated(frames.Binary, incompressible(testLimit)), said{whole(testLimit), nil}},
		{"one byte more", clientDeflated(frames.Binary, incompressible(testLimit+1)), said{nil, frames.ErrInflatedTooBig}},
		{"noise of the limit, flushed byte by byte", crumbs, said{whole(testLimit), nil}},
		{"some empty blocks", clientCompressed(true, frames.Binary, empty[:500]+"\x00"), said{[]string{`binary ""`}, nil}},
		{"too many, of which only the header has come", clientCompressed(true, frames.Binary, empty)[:14], said{nil, errMessageTooBig}},
		{"too many in fragments", slices.Concat(clientCompressed(false, frames.Binary, ""), clientCompressed(true, frames.Continuation, empty)[:14]), said{nil, errMessageTooBig}},
		{"uncompressed after it", slices.Concat(clientCompressed(false, frames.Binary, empty[:5]), clientCompressed(true, frames.Continuation, "\x00"),
			clientFrame(false, frames.Binary, ""), clientFrame(true, frames.Continuation, incompressible(testLimit+1))[:14]), said{[]string{`binary ""`}, errMessageTooBig}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := assembleBy(c, test.stream); !got.equal(test.want) {
				t.Errorf("as a whole: %v", got)
			}
			if got := assembleBy(c, bytewise(test.stream)...); !got.equal(test.want) {
				t.Errorf("byte by byte: %v", got)
			}
		})
	}
}

// How many frames a message may have follows how large it may be.
func TestAssemblerLimitsFragmentsByTheSize(t *testing.T) {
	feed := func(limit, fragments int) (size int, err error) {
		a := new(assembler)
		defer a.reset()
		for i := range fragments {
			op := []frames.Opcode{frames.Binary, frames.Continuation}[min(i, 1)]
			e, _, err := a.next(clientFrame(i == fragments-1, op, strings.Repeat("x", 64)), limit)
			if err != nil {
				return 0, err
			}
			size = len(e.payload)
		}
		return size, nil
	}
	for _, test := range []struct {
		limit, fragments int
		err              error
	}{
		{64 << 20, 65_537, nil},
		{65_537 * 64, 65_537, nil},
		{1 << 20, 1<<20/64 + 1, errMessageTooBig},
		{minFragments * 64, minFragments, nil},
	} {
		size, err := feed(test.limit, test.fragments)
		if err != test.err || err == nil && size != test.fragments*64 {
			t.Errorf("%d frames of at most %d bytes: %d, %v, want %v", test.fragments, test.limit, size, err, test.err)
		}
	}
}

// similar are small messages that resemble each other.
func similar(i int) string {
	return fmt.Sprintf(`{"type":"update","epoch":"K3VJQ2ZP","version":%d,"total":%d}`, i, 3*i)
}

// Every window in both directions, with context takeover and without.
func TestConnSpeaksEveryWindow(t *testing.T) {
	long := strings.Repeat(similar(1), 400) + incompressible(100)
	for server := 0; server <= frames.MaxWindowBits; server++ {
		for client := 0; client <= frames.MaxWindowBits; client++ {
			if max(server, client) < frames.MinWindowBits || min(server, client) != 0 && server != client {
				continue // 0 is none said
			}
			for _, alone := range []bool{false, true} {
				p := frames.Deflate{Agreed: true, ServerNoContextTakeover: alone, ClientNoContextTakeover: alone, ServerMaxWindowBits: server, ClientMaxWindowBits: client}
				t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
					serverSide, clientSide := tcpPair(t)
					checkWindows(t, newSession(t, serverSide, clientSide), p, long)
				})
			}
		}
	}
}

func checkWindows(t *testing.T, s *session, p frames.Deflate, long string) {
	s.change(func(s *Settings) { s.CompressionLevel = 9 })
	s.deflate = p
	if !p.ServerNoContextTakeover {
		s.window = frames.NewWindow(p.ServerWindow())
	}
	s.start()
	say := frames.NewDeflateContext(9, p.ClientWindow())
	for i := range 30 {
		message := similar(i)
		if i%10 == 9 {
			message = long
		}
		if p.ClientNoContextTakeover {
			s.say(clientDeflated(frames.Binary, message))
		} else {
			run := say.AppendDeflated(nil, frames.AppendMessage(nil, frames.Binary, []byte(message)))
			h, n, _ := frames.ParseHeader(run)
			s.say(frames.AppendMasked(nil, h, run[n:]))
		}
		s.expect(frames.Binary, message)
	}
}

// With context takeover a message that is dropped from the queue was never
// compressed, and what is queued in one go is inflated one by one.
func TestConnTakesOverOnlyWhatLeaves(t *testing.T) {
	overLinks(t, func(t *testing.T, s *session) {
		s.deflate, s.window = frames.Deflate{Agreed: true}, frames.NewWindow(frames.MaxWindowBits)
		s.change(func(s *Settings) { s.MaxQueue, s.CompressionLevel = 64<<20, 1 })
		s.start()
		filler := incompressible(16 << 20)
		s.Write(published(filler))
		s.until("the socket is full", func() bool { return s.out.flushing() })
		for i := range 100 {
			s.Send([]byte(similar(i)), false)
			s.Update(published(similar(1000 + i)))
		}
		s.expect(frames.Text, filler)
		for i := range 100 {
			s.expect(frames.Text, similar(i))
		}
		s.expect(frames.Text, similar(1099))
		s.Update(published(similar(1100)))
		s.expect(frames.Text, similar(1100))
		s.Close(frames.GoingAway, "")
		s.expectClose(frames.GoingAway)
	})
}

// What a ping's place in the stream is, is known again when what is before it has
// been compressed.
func TestConnTakeoverKeepsThePlaceOfAPing(t *testing.T) {
	for _, behind := range []int{0, 1, 100} {
		server, client := tcpPair(t)
		s := newSession(t, server, client)
		s.deflate, s.window = frames.Deflate{Agreed: true}, frames.NewWindow(frames.MaxWindowBits)
		s.change(func(s *Settings) { s.CompressionLevel = 1 })
		s.start()
		s.Cork()
		for i := range 100 {
			s.Send([]byte(similar(i)), false)
		}
		s.mu.Lock()
		s.out.push(s.form(), frames.Ping, nil)
		s.alive.pingEnd = int64(s.end.BytesOut) + int64(s.out.owed())
		s.mu.Unlock()
		for i := range behind {
			s.Send([]byte(similar(i)), false)
		}
		s.Uncork()
		for i := range 100 {
			s.expect(frames.Text, similar(i))
		}
		s.expect(frames.Ping, "")
		s.until("all is written", func() bool { return s.out.empty() && !s.out.flushing() })
		s.mu.Lock()
		if sent := int64(s.end.BytesOut); s.alive.pingEnd > sent || behind == 0 && s.alive.pingEnd < sent {
			t.Errorf("%d behind it: the ping ends at %d of %d", behind, s.alive.pingEnd, sent)
		}
		s.mu.Unlock()
	}
}
