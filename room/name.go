package room

import (
	"hash/maphash"
	"strings"
)

// What the names of rooms begin with, by what names them, so that no two kinds
// share a room.
const (
	NamedByURL      = "//"
	NamedByTemplate = "="
)

// displayName is the name of a room as people write it: without what it begins with.
func displayName(room string) string {
	if url, ok := strings.CutPrefix(room, NamedByURL); ok {
		return url
	}
	return strings.TrimPrefix(room, NamedByTemplate)
}

// An ID has 60 bits, 5 in each letter.
const (
	idLength  = 12
	idLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	idHalf    = 1<<(idLength*5/2) - 1
)

// idSeed makes the IDs of two processes differ.
var idSeed = maphash.MakeSeed()

// idRounds is how often the halves of a number are mixed.
const idRounds = 4

// connectionID returns the ID of the n-th connection. It is as good as random, yet
// none comes twice: a Feistel network only exchanges the numbers of 60 bits.
func connectionID(n uint64) string {
	left, right := n>>(idLength*5/2)&idHalf, n&idHalf
	for round := range uint64(idRounds) {
		left, right = right, left^idMix(round, right)
	}
	var id [idLength]byte
	bits := left<<(idLength*5/2) | right
	for i := range id {
		id[i] = idLetters[bits&31]
		bits >>= 5
	}
	return string(id[:])
}

// idMix returns what is mixed into one half of a number because of the other.
func idMix(round, half uint64) uint64 { return maphash.Comparable(idSeed, round<<32|half) & idHalf }

// NumberOf returns the number of the member whose connection has an ID, whether it is
// there or has left. It reports false for a text that is no ID.
func NumberOf(id string) (n uint64, ok bool) {
	if len(id) != idLength {
		return 0, false
	}
	var bits uint64
	for i := idLength - 1; i >= 0; i-- {
		letter := strings.IndexByte(idLetters, id[i])
		if letter < 0 {
			return 0, false
		}
		bits = bits<<5 | uint64(letter)
	}
	left, right := bits>>(idLength*5/2)&idHalf, bits&idHalf
	for round := idRounds - 1; round >= 0; round-- {
		left, right = right^idMix(uint64(round), left), left
	}
	return left<<(idLength*5/2) | right, true
}
