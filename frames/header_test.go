package frames_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
)

// headers are the two forms of a header: as bytes and as value. They hold every
// boundary of the length, every opcode and bit.
var headers = []struct {
	name   string
	wire   []byte
	header frames.Header
}{
	{"empty final text", []byte{0x81, 0x00}, frames.Header{Fin: true, Opcode: frames.Text}},
	{"not final", []byte{0x01, 0x00}, frames.Header{Opcode: frames.Text}},
	{"continuation", []byte{0x80, 0x01}, frames.Header{Fin: true, Opcode: frames.Continuation, Length: 1}},
	{"binary", []byte{0x82, 0x01}, frames.Header{Fin: true, Opcode: frames.Binary, Length: 1}},
	{"close", []byte{0x88, 0x02}, frames.Header{Fin: true, Opcode: frames.Close, Length: 2}},
	{"ping", []byte{0x89, 0x00}, frames.Header{Fin: true, Opcode: frames.Ping}},
	{"pong", []byte{0x8A, 0x00}, frames.Header{Fin: true, Opcode: frames.Pong}},
	{"reserved opcode", []byte{0x8F, 0x00}, frames.Header{Fin: true, Opcode: 0xF}},
	{"RSV1", []byte{0xC1, 0x00}, frames.Header{Fin: true, RSV: frames.RSV1, Opcode: frames.Text}},
	{"RSV2", []byte{0xA1, 0x00}, frames.Header{Fin: true, RSV: frames.RSV2, Opcode: frames.Text}},
	{"RSV3", []byte{0x91, 0x00}, frames.Header{Fin: true, RSV: frames.RSV3, Opcode: frames.Text}},
	{"all reserved bits", []byte{0x71, 0x00}, frames.Header{RSV: frames.RSV1 | frames.RSV2 | frames.RSV3, Opcode: frames.Text}},
	{"masked", []byte{0x82, 0x80, 1, 2, 3, 4}, frames.Header{Fin: true, Opcode: frames.Binary, Masked: true, Key: [4]byte{1, 2, 3, 4}}},
	{"masked with key zero", []byte{0x82, 0x80, 0, 0, 0, 0}, frames.Header{Fin: true, Opcode: frames.Binary, Masked: true}},
	{"125", []byte{0x82, 0x7D}, frames.Header{Fin: true, Opcode: frames.Binary, Length: 125}},
	{"126", []byte{0x82, 0x7E, 0x00, 0x7E}, frames.Header{Fin: true, Opcode: frames.Binary, Length: 126}},
	{"127", []byte{0x82, 0x7E, 0x00, 0x7F}, frames.Header{Fin: true, Opcode: frames.Binary, Length: 127}},
	{"65535", []byte{0x82, 0x7E, 0xFF, 0xFF}, frames.Header{Fin: true, Opcode: frames.Binary, Length: 65535}},
	{"65536", []byte{0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}, frames.Header{Fin: true, Opcode: frames.Binary, Length: 65536}},
	{"2^63-1", []byte{0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, frames.Header{Fin: true, Opcode: frames.Binary, Length: 1<<63 - 1}},
	{"125 masked", []byte{0x82, 0xFD, 9, 8, 7, 6}, frames.Header{Fin: true, Opcode: frames.Binary, Masked: true, Key: [4]byte{9, 8, 7, 6}, Length: 125}},
	{"126 masked", []byte{0x82, 0xFE, 0x00, 0x7E, 9, 8, 7, 6}, frames.Header{Fin: true, Opcode: frames.Binary, Masked: true, Key: [4]byte{9, 8, 7, 6}, Length: 126}},
	{"longest", []byte{0x02, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 9, 8, 7, 6}, frames.Header{Opcode: frames.Binary, Masked: true, Key: [4]byte{9, 8, 7, 6}, Length: 1 << 32}},
}

func TestParseHeaderDecodesBytes(t *testing.T) {
	for _, tt := range headers {
		t.Run(tt.name, func(t *testing.T) {
			followed := append(bytes.Clone(tt.wire), 0xAA, 0xBB)
			for _, p := range [][]byte{tt.wire, followed} {
				h, n, err := frames.ParseHeader(p)
				if h != tt.header || n != len(tt.wire) || err != nil {
					t.Errorf("ParseHeader(% x) = %+v, %d, %v; want %+v, %d, nil", p, h, n, err, tt.header, len(tt.wire))
				}
			}
		})
	}
}

func TestAppendHeaderEncodesBytes(t *testing.T) {
	for _, tt := range headers {
		t.Run(tt.name, func(t *testing.T) {
			got := frames.AppendHeader([]byte{0xEE}, tt.header)
			if want := append([]byte{0xEE}, tt.wire...); !bytes.Equal(got, want) {
				t.Errorf("AppendHeader(ee, %+v) = % x, want % x", tt.header, got, want)
			}
		})
	}
}

func TestAppendHeaderLeavesOutTheKeyOfAnUnmaskedFrame(t *testing.T) {
	got := frames.AppendHeader(nil, frames.Header{Fin: true, Opcode: frames.Text, Key: [4]byte{1, 2, 3, 4}})
	if want := []byte{0x81, 0x00}; !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestAppendHeaderKeepsStrayBitsOutOfOtherFields(t *testing.T) {
	got := frames.AppendHeader(nil, frames.Header{RSV: 0xFF, Opcode: 0xF1})
	if want := []byte{0x71, 0x00}; !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestMaxHeaderSizeIsThatOfTheLongestHeader(t *testing.T) {
	longest := 0
	for _, tt := range headers {
		longest = max(longest, len(tt.wire))
	}
	if longest != frames.MaxHeaderSize {
		t.Errorf("longest header has %d bytes, MaxHeaderSize is %d", longest, frames.MaxHeaderSize)
	}
}

// Every beginning of a header that lacks a byte asks for more, without an error.
func TestParseHeaderAsksForMore(t *testing.T) {
	for _, tt := range headers {
		for cut := range tt.wire {
			h, n, err := frames.ParseHeader(tt.wire[:cut])
			if h != (frames.Header{}) || n != 0 || err != nil {
				t.Errorf("%s: ParseHeader(% x) = %+v, %d, %v; want nothing", tt.name, tt.wire[:cut], h, n, err)
			}
		}
	}
}

func TestParseHeaderRefusesLengths(t *testing.T) {
	tests := []struct {
		name string
		good []byte
		bad  []byte
		want error
	}{
		{"0 in 2 bytes", []byte{0x82, 0x00}, []byte{0x82, 0x7E, 0, 0}, frames.ErrLengthNotMinimal},
		{"125 in 2 bytes", []byte{0x82, 0x7E, 0, 126}, []byte{0x82, 0x7E, 0, 125}, frames.ErrLengthNotMinimal},
		{"125 in 2 bytes, masked", []byte{0x82, 0xFE, 0, 126, 1, 2, 3, 4}, []byte{0x82, 0xFE, 0, 125}, frames.ErrLengthNotMinimal},
		{"0 in 8 bytes", []byte{0x82, 0x00}, []byte{0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0, 0}, frames.ErrLengthNotMinimal},
		{"126 in 8 bytes", []byte{0x82, 0x7E, 0, 126}, []byte{0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0, 126}, frames.ErrLengthNotMinimal},
		{"65535 in 8 bytes", []byte{0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}, []byte{0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, frames.ErrLengthNotMinimal},
		{"2^63", []byte{0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, []byte{0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0}, frames.ErrLengthTooLarge},
		{"2^64-1", []byte{0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, []byte{0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, frames.ErrLengthTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, n, err := frames.ParseHeader(tt.good); n != len(tt.good) || err != nil {
				t.Fatalf("ParseHeader(% x) = %d, %v; want %d, nil", tt.good, n, err, len(tt.good))
			}
			if h, n, err := frames.ParseHeader(tt.bad); h != (frames.Header{}) || n != 0 || err != tt.want {
				t.Errorf("ParseHeader(% x) = %+v, %d, %v; want error %v", tt.bad, h, n, err, tt.want)
			}
			for cut := range tt.bad {
				if _, n, err := frames.ParseHeader(tt.bad[:cut]); n != 0 || err != nil {
					t.Errorf("ParseHeader(% x) = %d, %v; want to be asked for more", tt.bad[:cut], n, err)
				}
			}
		})
	}
}

func TestHeaderDoesNotAllocate(t *testing.T) {
	p := make([]byte, 0, frames.MaxHeaderSize)
	allocs := testing.AllocsPerRun(100, func() {
		for i := range headers {
			p = frames.AppendHeader(p[:0], headers[i].header)
			if _, n, err := frames.ParseHeader(p); n != len(p) || err != nil {
				t.Fatalf("ParseHeader(% x) = %d, %v", p, n, err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

func TestOpcode(t *testing.T) {
	names := []string{
		"continuation", "text", "binary", "reserved 0x3", "reserved 0x4", "reserved 0x5", "reserved 0x6", "reserved 0x7",
		"close", "ping", "pong", "reserved 0xB", "reserved 0xC", "reserved 0xD", "reserved 0xE", "reserved 0xF",
	}
	for i, name := range names {
		op := frames.Opcode(i)
		if got := op.String(); got != name {
			t.Errorf("Opcode(%#x).String() = %q, want %q", i, got, name)
		}
		if got, want := op.IsControl(), i >= 8; got != want {
			t.Errorf("Opcode(%#x).IsControl() = %v, want %v", i, got, want)
		}
	}
}

// FuzzHeader holds the package to its guarantee: what is parsed has exactly one
// encoding, and what lacks a byte of it asks for more.
func FuzzHeader(f *testing.F) {
	for _, tt := range headers {
		f.Add(tt.wire)
	}
	f.Add([]byte{0x82, 0x7E, 0, 125})
	f.Add([]byte{0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		h, n, err := frames.ParseHeader(p)
		if n == 0 {
			if h != (frames.Header{}) || err == nil && len(p) >= frames.MaxHeaderSize {
				t.Fatalf("ParseHeader(% x) = %+v, 0, %v", p, h, err)
			}
			return
		}
		if wire := frames.AppendHeader(nil, h); err != nil || !bytes.Equal(wire, p[:n]) {
			t.Fatalf("ParseHeader(% x) = %+v, %d, %v, appended % x", p, h, n, err, wire)
		}
		if again, m, err := frames.ParseHeader(p[:n]); again != h || m != n || err != nil {
			t.Fatalf("ParseHeader(% x) = %+v, %d, %v, first %+v, %d", p[:n], again, m, err, h, n)
		}
		for cut := range n {
			if _, m, err := frames.ParseHeader(p[:cut]); m != 0 || err != nil {
				t.Fatalf("ParseHeader(% x) = %d, %v; want to be asked for more", p[:cut], m, err)
			}
		}
	})
}

func BenchmarkParseHeader(b *testing.B) {
	for _, length := range []uint64{5, 1000, 1 << 20} {
		p := frames.AppendHeader(nil, frames.Header{Fin: true, Opcode: frames.Text, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: length})
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h, n, err := frames.ParseHeader(p)
				if n == 0 || err != nil || frames.Check(h, false, 0) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}

// Example reads one frame of a client.
func Example() {
	p := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	h, n, err := frames.ParseHeader(p)
	if err == nil && n > 0 {
		err = frames.Check(h, false, 0)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	payload := p[n : n+int(h.Length)]
	frames.Mask(payload, h.Key, 0)
	fmt.Println(h.Opcode, string(payload))
	// Output: text Hello
}

// naturals counts in a way that shows a byte out of its place.
func naturals(n int) []byte {
	p := make([]byte, 0, n+8)
	for i := 0; len(p) < n; i++ {
		p = binary.LittleEndian.AppendUint32(p, uint32(i)*2654435761)
	}
	return p[:n]
}
