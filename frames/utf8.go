package frames

import "unicode/utf8"

// Validator reports whether text that comes in pieces is UTF-8, RFC 6455 section
// 8.1. It fails at the first byte that cannot go on with a valid sequence, be
// it in the same piece or a later one, so a client is refused without waiting
// for the rest of its message. A fragment may end inside a sequence; a message
// may not, which is what Done tells. The zero value is ready to use. A
// Validator belongs to one goroutine.
type Validator struct {
	open   [utf8.UTFMax]byte // start of the sequence that the text so far ends in
	n      int               // bytes of open in use
	failed bool
}

// Write goes on with p, unmasked, and reports whether the text can still become
// valid. Once false it stays false until Reset. It keeps nothing of p but the
// bytes, three at most, of a sequence left open, and never allocates.
func (v *Validator) Write(p []byte) bool {
	p = v.closeSequence(p)
	end := completeLen(p)
	if v.failed || !utf8.Valid(p[:end]) {
		v.failed = true
		return false
	}
	v.n += copy(v.open[v.n:], p[end:])
	return true
}

// Done reports whether the text may end here: nothing failed and no sequence is
// left open.
func (v *Validator) Done() bool { return !v.failed && v.n == 0 }

// Reset makes v ready for the next message.
func (v *Validator) Reset() { *v = Validator{} }

// closeSequence moves bytes of p to the open sequence until it is whole, and
// returns the rest of p.
func (v *Validator) closeSequence(p []byte) []byte {
	for v.n > 0 && len(p) > 0 {
		v.open[v.n] = p[0]
		v.n++
		p = p[1:]
		if seq := v.open[:v.n]; utf8.FullRune(seq) {
			v.failed = v.failed || !utf8.Valid(seq)
			v.n = 0
		}
	}
	return p
}

// completeLen returns the length of p without the sequence, valid so far, in
// which it may break off.
func completeLen(p []byte) int {
	for i := len(p) - 1; i >= 0 && i > len(p)-utf8.UTFMax; i-- {
		if !utf8.RuneStart(p[i]) {
			continue
		}
		if utf8.FullRune(p[i:]) {
			break
		}
		return i
	}
	return len(p)
}
