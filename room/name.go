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

// connectionID returns the ID of the n-th connection. It is as good as random, yet
// none comes twice: a Feistel network only exchanges the numbers of 60 bits.
func connectionID(n uint64) string {
	left, right := n>>(idLength*5/2)&idHalf, n&idHalf
	for round := range uint64(4) {
		left, right = right, left^maphash.Comparable(idSeed, round<<32|right)&idHalf
	}
	var id [idLength]byte
	bits := left<<(idLength*5/2) | right
	for i := range id {
		id[i] = idLetters[bits&31]
		bits >>= 5
	}
	return string(id[:])
}
