package socket

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
)

const testLimit = 1000 // bytes of a message in the assembler's tests

// clientFrame is one frame as a client sends it.
func clientFrame(fin bool, op frames.Opcode, payload string) []byte {
	return frames.AppendMasked(nil, frames.Header{Fin: fin, Opcode: op, Key: [4]byte{0x9a, 1, 0xfe, 7}}, []byte(payload))
}

func clientText(payload string) []byte { return clientFrame(true, frames.Text, payload) }

// said is what came out of an assembler: events, and the error that ended it.
type said struct {
	events []string
	err    error
}

// assemble feeds the pieces as so many reads.
func assemble(pieces ...[]byte) (s said) { return assembleBy(nil, pieces...) }

func assembleBy(c *compression, pieces ...[]byte) (s said) {
	a := assembler{compression: c}
	defer a.reset()
	for _, p := range pieces {
		p = bytes.Clone(p)
		for len(p) > 0 {
			e, n, err := a.next(p, testLimit)
			if err != nil {
				s.err = err
				return s
			}
			if !e.none() {
				s.events = append(s.events, fmt.Sprintf("%v %q", e.opcode, e.payload))
			}
			p = p[n:]
		}
		a.settle()
	}
	return s
}

func (s said) equal(other said) bool {
	return slices.Equal(s.events, other.events) && s.err == other.err
}

// bytewise cuts p into pieces of one byte.
func bytewise(p []byte) (pieces [][]byte) {
	for i := range p {
		pieces = append(pieces, p[i:i+1])
	}
	return pieces
}

// Every violation stands behind a good message, which must come out.
var assemblerCases = []struct {
	name   string
	stream [][]byte
	want   []string
	err    error
}{
	{"text", [][]byte{clientText("hello")}, []string{`text "hello"`}, nil},
	{"binary that is no UTF-8", [][]byte{clientFrame(true, frames.Binary, "\xff\x00")}, []string{`binary "\xff\x00"`}, nil},
	{"empty messages", [][]byte{clientText(""), clientFrame(true, frames.Binary, "")}, []string{`text ""`, `binary ""`}, nil},
	{"three messages", [][]byte{clientText("a"), clientText("b"), clientText("c")}, []string{`text "a"`, `text "b"`, `text "c"`}, nil},
	{"length of 16 bits", [][]byte{clientText(strings.Repeat("x", 200))}, []string{fmt.Sprintf("text %q", strings.Repeat("x", 200))}, nil},
	{"message of the limit", [][]byte{clientText(strings.Repeat("x", testLimit))}, []string{fmt.Sprintf("text %q", strings.Repeat("x", testLimit))}, nil},
	{"fragments", [][]byte{clientFrame(false, frames.Text, "a"), clientFrame(false, frames.Continuation, ""), clientFrame(true, frames.Continuation, "b")}, []string{`text "ab"`}, nil},
	{"empty fragments", [][]byte{clientFrame(false, frames.Binary, ""), clientFrame(true, frames.Continuation, "")}, []string{`binary ""`}, nil},
	{"control frames between fragments", [][]byte{
		clientFrame(false, frames.Text, "a"), clientFrame(true, frames.Ping, "p"),
		clientFrame(false, frames.Continuation, "b"), clientFrame(true, frames.Pong, ""), clientFrame(true, frames.Continuation, "c"),
	}, []string{`ping "p"`, `pong ""`, `text "abc"`}, nil},
	{"close", [][]byte{clientFrame(true, frames.Close, "\x03\xe8bye")}, []string{`close "\x03\xe8bye"`}, nil},
	{"character across fragments", [][]byte{clientFrame(false, frames.Text, "\xe2\x82"), clientFrame(true, frames.Continuation, "\xac")}, []string{`text "€"`}, nil},
	{"text of many messages begins anew", [][]byte{clientFrame(false, frames.Text, "a"), clientFrame(true, frames.Continuation, "b"), clientFrame(false, frames.Text, "c"), clientFrame(true, frames.Continuation, "d")}, []string{`text "ab"`, `text "cd"`}, nil},

	{"unmasked", [][]byte{clientText("ok"), {0x81, 1, 'x', 0, 0, 0, 0, 0}}, []string{`text "ok"`}, frames.ErrUnmasked},
	{"reserved bit", [][]byte{clientText("ok"), {0xc1, 0x80, 0, 0, 0, 0}}, []string{`text "ok"`}, frames.ErrReservedBits},
	{"reserved opcode", [][]byte{clientText("ok"), {0x83, 0x80, 0, 0, 0, 0}}, []string{`text "ok"`}, frames.ErrReservedOpcode},
	{"fragmented ping", [][]byte{clientText("ok"), {0x09, 0x80, 0, 0, 0, 0}}, []string{`text "ok"`}, frames.ErrFragmentedControl},
	{"long ping", [][]byte{clientText("ok"), {0x89, 0xfe, 0, 126, 0, 0, 0, 0}}, []string{`text "ok"`}, frames.ErrControlTooLong},
	{"length not minimal", [][]byte{clientText("ok"), {0x81, 0xfe, 0, 125}}, []string{`text "ok"`}, frames.ErrLengthNotMinimal},
	{"length too large", [][]byte{clientText("ok"), {0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}}, []string{`text "ok"`}, frames.ErrLengthTooLarge},
	{"continuation of nothing", [][]byte{clientText("ok"), clientFrame(true, frames.Continuation, "x")}, []string{`text "ok"`}, frames.ErrContinuation},
	{"continuation after the end", [][]byte{clientFrame(false, frames.Text, "o"), clientFrame(true, frames.Continuation, "k"), clientFrame(true, frames.Continuation, "x")}, []string{`text "ok"`}, frames.ErrContinuation},
	{"message inside a message", [][]byte{clientText("ok"), clientFrame(false, frames.Text, "a"), clientText("b")}, []string{`text "ok"`}, frames.ErrInterleaved},
	{"bad text", [][]byte{clientText("ok"), clientText("a\xff")}, []string{`text "ok"`}, frames.ErrInvalidUTF8},
	{"text ends inside a character", [][]byte{clientText("ok"), clientText("\xe2\x82")}, []string{`text "ok"`}, frames.ErrInvalidUTF8},
	{"text of fragments ends inside a character", [][]byte{clientText("ok"), clientFrame(false, frames.Text, "\xe2"), clientFrame(true, frames.Continuation, "\x82")}, []string{`text "ok"`}, frames.ErrInvalidUTF8},
	{"bad text across fragments", [][]byte{clientText("ok"), clientFrame(false, frames.Text, "\xe2"), clientFrame(false, frames.Continuation, "x")}, []string{`text "ok"`}, frames.ErrInvalidUTF8},
	{"bad text before its frame ends", [][]byte{clientText("ok"), clientText("a\xff" + strings.Repeat("x", 500))[:10]}, []string{`text "ok"`}, frames.ErrInvalidUTF8},
	{"too big, of which only the header has come", [][]byte{clientText("ok"), clientText(strings.Repeat("x", testLimit+1))[:8]}, []string{`text "ok"`}, errMessageTooBig},
	{"too big together, of which only the header has come", [][]byte{clientText("ok"), clientFrame(false, frames.Text, strings.Repeat("x", testLimit)), clientFrame(true, frames.Continuation, "x")[:6]}, []string{`text "ok"`}, errMessageTooBig},
	{"announced 2^62 bytes", [][]byte{clientText("ok"), {0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}}, []string{`text "ok"`}, errMessageTooBig},
	{"most fragments", [][]byte{clientFrame(false, frames.Text, "a"), bytes.Repeat(clientFrame(false, frames.Continuation, ""), minFragments-2), clientFrame(true, frames.Continuation, "z")}, []string{`text "az"`}, nil},
	{"too many fragments", [][]byte{clientText("ok"), clientFrame(false, frames.Text, "a"), bytes.Repeat(clientFrame(false, frames.Continuation, ""), minFragments)}, []string{`text "ok"`}, errTooFragmented},
}

func TestAssembler(t *testing.T) {
	for _, test := range assemblerCases {
		t.Run(test.name, func(t *testing.T) {
			want := said{test.want, test.err}
			stream := bytes.Join(test.stream, nil)
			if got := assemble(stream); !got.equal(want) {
				t.Fatalf("as a whole: %v, want %v", got, want)
			}
			if got := assemble(test.stream...); !got.equal(want) {
				t.Fatalf("frame by frame: %v, want %v", got, want)
			}
			if got := assemble(bytewise(stream)...); !got.equal(want) {
				t.Fatalf("byte by byte: %v, want %v", got, want)
			}
			for i := range min(len(stream), 300) { // a longer one repeats itself
				if got := assemble(stream[:i], stream[i:]); !got.equal(want) {
					t.Fatalf("cut at %d: %v, want %v", i, got, want)
				}
			}
		})
	}
}

// A refusal comes with the byte that deserves it, without waiting for more.
func TestAssemblerRefusesAtTheFirstBadByte(t *testing.T) {
	text := clientText("abc\xffdef")
	for i := range text {
		got := assemble(text[:i])
		if bad := i >= 6+4; bad != errors.Is(got.err, frames.ErrInvalidUTF8) {
			t.Errorf("after %d bytes: %v", i, got.err)
		}
	}
}

func TestAssemblerHoldsMemoryOnlyWhileIncomplete(t *testing.T) {
	stream := bytes.Join([][]byte{
		clientFrame(false, frames.Text, "a"), clientFrame(true, frames.Ping, "p"), clientFrame(true, frames.Continuation, "b"),
	}, nil)
	var a assembler
	for i := range stream {
		if i > 0 && !a.incomplete() {
			t.Errorf("after %d of %d bytes nothing is incomplete", i, len(stream))
		}
		a.next(stream[i:i+1], testLimit)
		a.settle()
	}
	if a.incomplete() {
		t.Error("the message was complete, but memory is held")
	}
}

// Of a frame that announces much and brings little only the little is kept.
func TestAssemblerMemoryGrowsWithWhatArrives(t *testing.T) {
	var a assembler
	defer a.reset()
	p := frames.AppendHeader(nil, frames.Header{Fin: true, Opcode: frames.Binary, Masked: true, Length: 1 << 30})
	if _, _, err := a.next(append(p, "0123456789"...), 1<<30); err != nil {
		t.Fatal(err)
	}
	if got := cap(a.partial.message.b); got > 1<<minBuffer {
		t.Errorf("10 bytes are held in a buffer of %d", got)
	}
}

func TestAssemblerCountsWhatBegins(t *testing.T) {
	var a assembler
	half := clientText("half")
	for i := range 3 {
		a.next(bytes.Clone(half[:5]), testLimit)
		a.settle()
		if a.begun != uint32(i+1) {
			t.Errorf("begun is %d with message %d", a.begun, i+1)
		}
		a.next(bytes.Clone(half[5:]), testLimit)
		a.settle()
	}
}

// randomStream is a valid stream and what an assembler says to it.
func randomStream(r *rand.Rand) (stream []byte, want said) {
	for range 1 + r.IntN(8) {
		op := frames.Text + frames.Opcode(r.IntN(2))
		payload := strings.Repeat("aé€😀", r.IntN(40))
		for rest, next := payload, op; ; next = frames.Continuation {
			n := r.IntN(len(rest) + 1)
			last := r.IntN(2) == 0
			if last {
				n = len(rest)
			}
			stream = append(stream, clientFrame(last, next, rest[:n])...)
			if rest = rest[n:]; last {
				break
			}
			if r.IntN(3) == 0 {
				stream = append(stream, clientFrame(true, frames.Ping, "p")...)
				want.events = append(want.events, `ping "p"`)
			}
		}
		want.events = append(want.events, fmt.Sprintf("%v %q", op, payload))
	}
	return stream, want
}

// cut cuts p at random places.
func cut(r *rand.Rand, p []byte) (pieces [][]byte) {
	for len(p) > 0 {
		n := 1 + r.IntN(min(len(p), 1+r.IntN(100)))
		pieces, p = append(pieces, p[:n]), p[n:]
	}
	return pieces
}

func TestAssemblerSaysTheSameHoweverAStreamIsCut(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 500 {
		stream, want := randomStream(r)
		if got := assemble(cut(r, stream)...); !got.equal(want) {
			t.Fatalf("seed %d, stream %d: %v, want %v", seed, i, got, want)
		}
	}
}

func FuzzAssembler(f *testing.F) {
	for i, test := range assemblerCases {
		f.Add(bytes.Join(test.stream, nil), uint64(i))
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		want := assemble(stream)
		if got := assemble(bytewise(stream)...); !got.equal(want) {
			t.Errorf("byte by byte: %v, as a whole: %v", got, want)
		}
		r := rand.New(rand.NewPCG(seed, 0))
		if got := assemble(cut(r, stream)...); !got.equal(want) {
			t.Errorf("cut: %v, as a whole: %v", got, want)
		}
	})
}

// Behind a violation nothing counts but a close frame, wherever it is cut.
func TestAssemblerSkipsToACloseFrame(t *testing.T) {
	goodbye := closeFrame(frames.ProtocolError, "")
	for name, bad := range map[string][]byte{
		"opcode":             clientFrame(true, 3, "x"),
		"text":               clientText("abc\xff\xffabc"),
		"text in fragments":  append(clientFrame(false, frames.Text, "a\xff"), clientFrame(true, frames.Continuation, "b")...),
		"half a character":   append(clientFrame(false, frames.Text, "a\xc3"), clientFrame(true, frames.Continuation, "")...),
		"size":               clientText(strings.Repeat("x", testLimit+1)),
		"size in fragments":  append(clientFrame(false, frames.Text, "x"), clientFrame(true, frames.Continuation, strings.Repeat("x", testLimit))...),
		"fragments":          append(clientFrame(false, frames.Text, ""), bytes.Repeat(clientFrame(false, frames.Continuation, ""), maxFragments(0))...),
		"a frame of control": clientFrame(true, frames.Ping, strings.Repeat("x", 126)),
	} {
		t.Run(name, func(t *testing.T) {
			said := slices.Concat(bad, clientText("later"), clientFrame(true, frames.Ping, ""), goodbye)
			for _, step := range []int{1, 7, len(said)} {
				if at := closedAt(bytes.Clone(said), step); at <= len(said)-len(goodbye) || at > len(said) {
					t.Errorf("in steps of %d: closed after %d of %d bytes", step, at, len(said))
				}
			}
		})
	}
}

// closedAt is how much of said an assembler is given, some bytes at a time, until
// it has found a close frame behind a violation; more than that if it does not.
func closedAt(said []byte, step int) int {
	var a assembler
	defer a.reset()
	broken := false
	for at := 0; at < len(said); at += step {
		p := said[at:min(at+step, len(said))]
		for len(p) > 0 && !broken {
			_, n, err := a.next(p, testLimit)
			p, broken = p[n:], err != nil
		}
		if broken && a.skip(p) {
			return min(at+step, len(said))
		}
		a.settle()
	}
	return 2 * len(said)
}
