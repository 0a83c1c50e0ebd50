package frames_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/frames"
)

// Each rule refuses its frame, while the same frame without the fault passes.
func TestCheckRefusesPerRule(t *testing.T) {
	type judged struct {
		wire       []byte
		fragmented bool
		rsv        byte
	}
	tests := []struct {
		name      string
		good, bad judged
		want      error
	}{
		{"RSV1 on text", judged{wire: []byte{0x81, 0x80, 1, 2, 3, 4}}, judged{wire: []byte{0xC1, 0x80, 1, 2, 3, 4}}, frames.ErrReservedBits},
		{"RSV1 not negotiated", judged{wire: []byte{0xC1, 0x80, 1, 2, 3, 4}, rsv: frames.RSV1}, judged{wire: []byte{0xC1, 0x80, 1, 2, 3, 4}}, frames.ErrReservedBits},
		{"RSV2 beside RSV1 negotiated", judged{wire: []byte{0xC2, 0x80, 1, 2, 3, 4}, rsv: frames.RSV1}, judged{wire: []byte{0xE2, 0x80, 1, 2, 3, 4}, rsv: frames.RSV1}, frames.ErrReservedBits},
		{"RSV3 beside RSV1 and RSV2 negotiated", judged{wire: []byte{0xE2, 0x80, 1, 2, 3, 4}, rsv: frames.RSV1 | frames.RSV2}, judged{wire: []byte{0xF2, 0x80, 1, 2, 3, 4}, rsv: frames.RSV1 | frames.RSV2}, frames.ErrReservedBits},
		{"RSV1 on a continuation", judged{wire: []byte{0x80, 0x80, 1, 2, 3, 4}, fragmented: true, rsv: frames.RSV1}, judged{wire: []byte{0xC0, 0x80, 1, 2, 3, 4}, fragmented: true, rsv: frames.RSV1}, frames.ErrReservedBits},
		{"RSV1 on a ping", judged{wire: []byte{0x89, 0x80, 1, 2, 3, 4}, rsv: frames.RSV1}, judged{wire: []byte{0xC9, 0x80, 1, 2, 3, 4}, rsv: frames.RSV1}, frames.ErrReservedBits},
		{"opcode 0x3", judged{wire: []byte{0x82, 0x80, 1, 2, 3, 4}}, judged{wire: []byte{0x83, 0x80, 1, 2, 3, 4}}, frames.ErrReservedOpcode},
		{"opcode 0x7", judged{wire: []byte{0x88, 0x80, 1, 2, 3, 4}}, judged{wire: []byte{0x87, 0x80, 1, 2, 3, 4}}, frames.ErrReservedOpcode},
		{"opcode 0xB", judged{wire: []byte{0x8A, 0x80, 1, 2, 3, 4}}, judged{wire: []byte{0x8B, 0x80, 1, 2, 3, 4}}, frames.ErrReservedOpcode},
		{"opcode 0xF", judged{wire: []byte{0x8A, 0x80, 1, 2, 3, 4}}, judged{wire: []byte{0x8F, 0x80, 1, 2, 3, 4}}, frames.ErrReservedOpcode},
		{"unmasked text", judged{wire: []byte{0x81, 0x80, 0, 0, 0, 0}}, judged{wire: []byte{0x81, 0x00}}, frames.ErrUnmasked},
		{"unmasked pong", judged{wire: []byte{0x8A, 0x80, 0, 0, 0, 0}}, judged{wire: []byte{0x8A, 0x00}}, frames.ErrUnmasked},
		{"fragmented ping", judged{wire: []byte{0x89, 0x80, 1, 2, 3, 4}}, judged{wire: []byte{0x09, 0x80, 1, 2, 3, 4}}, frames.ErrFragmentedControl},
		{"fragmented close", judged{wire: []byte{0x88, 0x80, 1, 2, 3, 4}}, judged{wire: []byte{0x08, 0x80, 1, 2, 3, 4}}, frames.ErrFragmentedControl},
		{"ping of 126 bytes", judged{wire: []byte{0x89, 0xFD, 1, 2, 3, 4}}, judged{wire: []byte{0x89, 0xFE, 0, 126, 1, 2, 3, 4}}, frames.ErrControlTooLong},
		{"close of 65536 bytes", judged{wire: []byte{0x88, 0xFD, 1, 2, 3, 4}}, judged{wire: []byte{0x88, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}}, frames.ErrControlTooLong},
		{"final continuation of nothing", judged{wire: []byte{0x80, 0x80, 1, 2, 3, 4}, fragmented: true}, judged{wire: []byte{0x80, 0x80, 1, 2, 3, 4}}, frames.ErrContinuation},
		{"continuation of nothing", judged{wire: []byte{0x00, 0x80, 1, 2, 3, 4}, fragmented: true}, judged{wire: []byte{0x00, 0x80, 1, 2, 3, 4}}, frames.ErrContinuation},
		{"text inside a message", judged{wire: []byte{0x01, 0x80, 1, 2, 3, 4}}, judged{wire: []byte{0x01, 0x80, 1, 2, 3, 4}, fragmented: true}, frames.ErrInterleaved},
		{"binary inside a message", judged{wire: []byte{0x82, 0x80, 1, 2, 3, 4}}, judged{wire: []byte{0x82, 0x80, 1, 2, 3, 4}, fragmented: true}, frames.ErrInterleaved},
	}
	check := func(t *testing.T, j judged) error {
		t.Helper()
		h, n, err := frames.ParseHeader(j.wire)
		if n != len(j.wire) || err != nil {
			t.Fatalf("ParseHeader(% x) = %d, %v", j.wire, n, err)
		}
		return frames.Check(h, j.fragmented, j.rsv)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := check(t, tt.good); err != nil {
				t.Errorf("the good frame % x is refused: %v", tt.good.wire, err)
			}
			if err := check(t, tt.bad); err != tt.want {
				t.Errorf("the bad frame % x gives %v, want %v", tt.bad.wire, err, tt.want)
			}
		})
	}
}

// A frame that breaks all rules shows the order in which they are judged, as one
// after the other is mended.
func TestCheckJudgesInTheOrderOfTheList(t *testing.T) {
	h := frames.Header{RSV: frames.RSV3, Opcode: 0xB, Length: 126}
	steps := []struct {
		want error
		mend func()
	}{
		{frames.ErrReservedBits, func() { h.RSV = 0 }},
		{frames.ErrReservedOpcode, func() { h.Opcode = frames.Ping }},
		{frames.ErrUnmasked, func() { h.Masked = true }},
		{frames.ErrFragmentedControl, func() { h.Fin = true }},
		{frames.ErrControlTooLong, func() { h.Length = 125 }},
		{nil, func() {}},
	}
	for _, step := range steps {
		if err := frames.Check(h, true, 0); err != step.want {
			t.Errorf("Check(%+v) = %v, want %v", h, err, step.want)
		}
		step.mend()
	}
}

func TestCheckLetsControlFramesInsideAMessage(t *testing.T) {
	for _, op := range []frames.Opcode{frames.Close, frames.Ping, frames.Pong} {
		for _, fragmented := range []bool{false, true} {
			if err := frames.Check(frames.Header{Fin: true, Opcode: op, Masked: true}, fragmented, 0); err != nil {
				t.Errorf("%v with fragmented %v: %v", op, fragmented, err)
			}
		}
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	good := frames.Header{Fin: true, Opcode: frames.Text, Masked: true}
	bad := frames.Header{Fin: true, Opcode: frames.Text}
	allocs := testing.AllocsPerRun(100, func() {
		if frames.Check(good, false, 0) != nil || frames.Check(bad, false, 0) != frames.ErrUnmasked {
			t.Fatal("wrong verdict")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// rules are the errors of the package by name. That none is missing here is
// checked against the source.
var rules = map[string]*frames.Error{
	"ErrLengthNotMinimal":  frames.ErrLengthNotMinimal,
	"ErrLengthTooLarge":    frames.ErrLengthTooLarge,
	"ErrReservedBits":      frames.ErrReservedBits,
	"ErrReservedOpcode":    frames.ErrReservedOpcode,
	"ErrUnmasked":          frames.ErrUnmasked,
	"ErrFragmentedControl": frames.ErrFragmentedControl,
	"ErrControlTooLong":    frames.ErrControlTooLong,
	"ErrContinuation":      frames.ErrContinuation,
	"ErrInterleaved":       frames.ErrInterleaved,
	"ErrClosePayload":      frames.ErrClosePayload,
	"ErrCloseCode":         frames.ErrCloseCode,
	"ErrInvalidUTF8":       frames.ErrInvalidUTF8,
}

func TestErrorsCarryACloseCode(t *testing.T) {
	texts := make(map[string]bool)
	for name, rule := range rules {
		want := frames.ProtocolError
		if rule == frames.ErrInvalidUTF8 {
			want = frames.InvalidPayload
		}
		var e *frames.Error
		if err := error(rule); !errors.As(err, &e) || e.Code != want || !errors.Is(err, rule) {
			t.Errorf("%s has code %d, want %d", name, rule.Code, want)
		}
		if texts[rule.Error()] {
			t.Errorf("%s has the text of another rule: %q", name, rule)
		}
		texts[rule.Error()] = true
	}
}

// The text of a rule can be sent as the reason, whole.
func TestErrorsFitInACloseFrame(t *testing.T) {
	for name, rule := range rules {
		_, reason, err := frames.ParseClose(frames.AppendClose(nil, rule.Code, rule.Error()))
		if reason == "" || reason != rule.Rule || err != nil {
			t.Errorf("%s as a reason is %q, %v; want %q", name, reason, err, rule.Rule)
		}
	}
}

// A rule added to the source must be added to the tests.
func TestNoRuleIsUntested(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "check.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Err") {
			return true
		}
		found++
		if name := spec.Names[0].Name; rules[name] == nil {
			t.Errorf("%s is missing in rules", name)
		}
		return true
	})
	if found != len(rules) {
		t.Errorf("check.go has %d rules, the tests %d", found, len(rules))
	}
}
