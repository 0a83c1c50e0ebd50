package replica

import (
	"encoding/binary"
	"errors"

	"github.com/caddyws/caddy-websocket/apps"
)

// answers keeps the newest answers to operations that had ids, oldest first, in the
// bytes that are left for them. An answer is
//
//	size      2 bytes, of all of it
//	kind      1 byte
//	text      2 bytes, size of the text
//	name      8 bytes, the beginning of it
//	n         8 bytes, number of the operation; 0 if the name is a key
//	digest    8 bytes, of the operation
//	version   8 bytes
//	text, then JSON
//
// A long answer is kept without its text.
type answers struct{ log []byte }

// The kinds of answers.
const (
	answerReply   = iota // text and JSON are the app's reply
	answerRefusal        // text is the app's error
	answerPanic          // the app panicked
	answerTooLong        // text and JSON are left out
	answerKinds
)

const (
	answerHeader = 37
	maxAnswer    = 4 << 10 // bytes of text and JSON
)

// answer is a decoded entry.
type answer struct {
	name    [8]byte
	n       uint64
	digest  digest
	kind    byte
	version uint64
	text    []byte
	json    []byte
}

// newAnswer returns the answer that a result is.
func newAnswer(m mark, res Result) answer {
	a := answer{name: [8]byte(m.name[:8]), n: m.n, digest: m.digest, version: res.Version}
	switch {
	case res.Panicked:
		a.kind = answerPanic
	case res.Err != nil:
		a.kind, a.text = answerRefusal, []byte(res.Err.Error())
	default:
		a.kind, a.text, a.json = answerReply, res.Outcome.Reply.Text, res.Outcome.Reply.JSON
	}
	if len(a.text)+len(a.json) > maxAnswer {
		a.kind, a.text, a.json = answerTooLong, nil, nil
	}
	return a
}

// result returns what the sender of a repeat is told.
func (a answer) result() Result {
	res := Result{Repeat: true, Version: a.version}
	switch a.kind {
	case answerReply:
		res.Outcome.Reply = apps.Body{Text: a.text, JSON: a.json}
	case answerRefusal:
		res.Err = NewError(CodeRefused, false, string(a.text))
	case answerPanic:
		res.Err = errFailed
	case answerTooLong:
		res.present = true
	}
	return res
}

// add keeps an answer.
func (t *answers) add(a answer) {
	p := binary.LittleEndian.AppendUint16(t.log, uint16(answerHeader+len(a.text)+len(a.json)))
	p = append(p, a.kind)
	p = binary.LittleEndian.AppendUint16(p, uint16(len(a.text)))
	p = append(p, a.name[:]...)
	p = binary.LittleEndian.AppendUint64(p, a.n)
	p = append(p, a.digest[:]...)
	p = binary.LittleEndian.AppendUint64(p, a.version)
	t.log = append(append(p, a.text...), a.json...)
}

// drop forgets the oldest answers until at most n bytes are left.
func (t *answers) drop(n int) {
	for len(t.log) > n {
		t.log = t.log[binary.LittleEndian.Uint16(t.log):]
	}
}

// find returns the newest answer to the operation n of a name. Its bytes are the
// caller's.
func (t *answers) find(name name, n uint64) (found answer, ok bool) {
	for p := t.log; len(p) > 0; {
		a, size, err := parseAnswer(p)
		if err != nil {
			break // areAnswers has seen to it
		}
		if a.n == n && a.name == [8]byte(name[:8]) {
			found, ok = a, true
		}
		p = p[size:]
	}
	found.text, found.json = append([]byte(nil), found.text...), append([]byte(nil), found.json...)
	return found, ok
}

var errAnswer = errors.New("no answer")

// parseAnswer returns the first answer of a log and its size. Its bytes are the log's.
func parseAnswer(p []byte) (a answer, size int, err error) {
	if len(p) < answerHeader {
		return a, 0, errAnswer
	}
	size = int(binary.LittleEndian.Uint16(p))
	end := answerHeader + int(binary.LittleEndian.Uint16(p[3:])) // of the text
	if size > len(p) || end > size || p[2] >= answerKinds {
		return a, 0, errAnswer
	}
	return answer{
		kind:    p[2],
		name:    [8]byte(p[5:13]),
		n:       binary.LittleEndian.Uint64(p[13:]),
		digest:  digest(p[21:29]),
		version: binary.LittleEndian.Uint64(p[29:]),
		text:    p[answerHeader:end],
		json:    p[end:size],
	}, size, nil
}

// areAnswers reports whether a log is sound.
func areAnswers(log []byte) bool {
	for len(log) > 0 {
		_, size, err := parseAnswer(log)
		if err != nil {
			return false
		}
		log = log[size:]
	}
	return true
}
