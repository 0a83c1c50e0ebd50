package replica

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// envelope is what is stored of a room: the app's bytes and what the hub has to
// remember.
//
//	format   1 byte, 1
//	epoch    8 bytes
//	version  uvarint
//	at       varint, Unix nanoseconds
//	app      the rest
type envelope struct {
	epoch   string    // names this life of the room; see epochs
	version uint64    // operations applied since
	at      time.Time // of the last one
	app     []byte    // nil if nothing was ever applied
}

const (
	envelopeFormat = 1
	epochSize      = 8
)

var errEnvelope = errors.New("decoding room: damaged")

func (e envelope) encode() []byte {
	dst := []byte{envelopeFormat}
	dst = append(dst, e.epoch...)
	dst = binary.AppendUvarint(dst, e.version)
	dst = binary.AppendVarint(dst, e.at.UnixNano())
	return append(dst, e.app...)
}

func parseEnvelope(p []byte) (envelope, error) {
	if len(p) < 1+epochSize {
		return envelope{}, errEnvelope
	}
	if p[0] != envelopeFormat {
		return envelope{}, fmt.Errorf("decoding room: unknown format %d, written by a newer version", p[0])
	}
	epoch, p := string(p[1:1+epochSize]), p[1+epochSize:]
	version, n := binary.Uvarint(p)
	if n <= 0 {
		return envelope{}, errEnvelope
	}
	at, k := binary.Varint(p[n:])
	if k <= 0 {
		return envelope{}, errEnvelope
	}
	app := append([]byte{}, p[n+k:]...)
	return envelope{epoch: epoch, version: version, at: time.Unix(0, at).UTC(), app: app}, nil
}

// randomEpoch returns 8 characters that nobody can guess (40 bits).
func randomEpoch() string { return rand.Text()[:epochSize] }
