// Package meter reads the readings that machines send: a number, alone or in a JSON
// object, and the key of the source that it comes from.
//
// A message is looked at once, from front to back: **it costs what its bytes cost**,
// however it is nested and whatever else is in it. Nothing of it is turned into maps
// or values but the two fields that are asked for; the rest is only checked to be
// JSON. encoding/json would take memory for the rest too, several times the size of
// a deeply nested message.
//
// fields.go has the names of the two fields, reading.go what is made of their
// values, scanner.go the rules of JSON.
package meter
