package frames_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
)

var hello = []byte("Hello")

// The examples of RFC 6455 section 5.7, decoded and encoded.
func TestExamplesOfTheRFC(t *testing.T) {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	size256, size64K := naturals(256), naturals(65536)
	tests := []struct {
		name    string
		wire    []byte
		header  frames.Header
		payload []byte
	}{
		{"single-frame unmasked text message", []byte{0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f},
			frames.Header{Fin: true, Opcode: frames.Text, Length: 5}, hello},
		{"single-frame masked text message", []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58},
			frames.Header{Fin: true, Opcode: frames.Text, Masked: true, Key: key, Length: 5}, hello},
		{"fragmented unmasked text message, first frame", []byte{0x01, 0x03, 0x48, 0x65, 0x6c},
			frames.Header{Opcode: frames.Text, Length: 3}, []byte("Hel")},
		{"fragmented unmasked text message, last frame", []byte{0x80, 0x02, 0x6c, 0x6f},
			frames.Header{Fin: true, Opcode: frames.Continuation, Length: 2}, []byte("lo")},
		{"unmasked ping", []byte{0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f},
			frames.Header{Fin: true, Opcode: frames.Ping, Length: 5}, hello},
		{"masked pong", []byte{0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58},
			frames.Header{Fin: true, Opcode: frames.Pong, Masked: true, Key: key, Length: 5}, hello},
		{"256 bytes of binary", append([]byte{0x82, 0x7E, 0x01, 0x00}, size256...),
			frames.Header{Fin: true, Opcode: frames.Binary, Length: 256}, size256},
		{"64 KiB of binary", append([]byte{0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}, size64K...),
			frames.Header{Fin: true, Opcode: frames.Binary, Length: 65536}, size64K},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, n, err := frames.ParseHeader(tt.wire)
			if h != tt.header || err != nil {
				t.Fatalf("ParseHeader = %+v, %v; want %+v", h, err, tt.header)
			}
			payload := bytes.Clone(tt.wire[n:])
			if h.Masked {
				frames.Mask(payload, h.Key, 0)
			}
			if !bytes.Equal(payload, tt.payload) {
				t.Errorf("payload %q, want %q", payload, tt.payload)
			}
			if got := encode(tt.header, tt.payload); !bytes.Equal(got, tt.wire) {
				t.Errorf("encoded % x, want % x", got[:min(20, len(got))], tt.wire[:min(20, len(tt.wire))])
			}
		})
	}
}

// encode takes the encoder that is made for such a frame.
func encode(h frames.Header, payload []byte) []byte {
	switch {
	case h.Masked:
		return frames.AppendMasked(nil, h, payload)
	case h.Fin && h.Opcode != frames.Continuation:
		return frames.AppendMessage(nil, h.Opcode, payload)
	default:
		return append(frames.AppendHeader(nil, h), payload...)
	}
}

func TestAppendMessageAtEveryLengthForm(t *testing.T) {
	tests := []struct {
		size   int
		header []byte
	}{
		{0, []byte{0x81, 0x00}},
		{125, []byte{0x81, 0x7D}},
		{126, []byte{0x81, 0x7E, 0x00, 0x7E}},
		{65535, []byte{0x81, 0x7E, 0xFF, 0xFF}},
		{65536, []byte{0x81, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}},
	}
	for _, tt := range tests {
		payload := naturals(tt.size)
		want := append(append([]byte("dst"), tt.header...), payload...)
		if got := frames.AppendMessage([]byte("dst"), frames.Text, payload); !bytes.Equal(got, want) {
			t.Errorf("size %d: wrong bytes", tt.size)
		}
	}
}

func TestAppendMaskedTakesTheLengthOfThePayload(t *testing.T) {
	h := frames.Header{RSV: frames.RSV1, Opcode: frames.Binary, Key: [4]byte{1, 2, 3, 4}, Length: 77}
	payload := []byte{1, 2, 3, 4, 5}
	got := frames.AppendMasked([]byte("dst"), h, payload)
	if want := append([]byte("dst"), 0x42, 0x85, 1, 2, 3, 4, 0, 0, 0, 0, 4); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
	if !bytes.Equal(payload, []byte{1, 2, 3, 4, 5}) {
		t.Errorf("the payload of the caller was masked: % x", payload)
	}
}

// Memory is taken once, or not at all; once is what slices.Grow needs, which the
// race detector doubles.
func TestAppendAllocatesOnceAtMost(t *testing.T) {
	payload := naturals(1000)
	size := frames.MaxHeaderSize + len(payload)
	spare := make([]byte, 0, size)
	h := frames.Header{Fin: true, Opcode: frames.Text, Key: [4]byte{1, 2, 3, 4}}
	var sink []byte
	once := testing.AllocsPerRun(100, func() { sink = slices.Grow([]byte(nil), size) })
	for _, tt := range []struct {
		name string
		dst  []byte
		want float64
	}{{"room to spare", spare, 0}, {"no room", nil, once}} {
		if got := testing.AllocsPerRun(100, func() { sink = frames.AppendMessage(tt.dst, frames.Text, payload) }); got != tt.want {
			t.Errorf("AppendMessage with %s: %v allocations, want %v", tt.name, got, tt.want)
		}
		if got := testing.AllocsPerRun(100, func() { sink = frames.AppendMasked(tt.dst, h, payload) }); got != tt.want {
			t.Errorf("AppendMasked with %s: %v allocations, want %v", tt.name, got, tt.want)
		}
	}
	if len(sink) != len(payload)+8 {
		t.Errorf("the last frame has %d bytes, want %d", len(sink), len(payload)+8)
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	for _, size := range []int{16, 125, 1024, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			payload, dst := make([]byte, size), make([]byte, 0, frames.MaxHeaderSize+size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				dst = frames.AppendMessage(dst[:0], frames.Text, payload)
			}
		})
	}
}
