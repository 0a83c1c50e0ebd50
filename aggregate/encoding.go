package aggregate

import (
	"encoding/binary"
	"hash/crc32"
)

// The binary form of [Readings], version 1:
//
//	version     byte
//	flags       byte: 1 only the newest reading of each key counts; 2 there has
//	            been a reading
//	width       of a slice; 0 without window
//	at          time of the newest call
//	thresholds  how many; each: name; byte: 1 for each key, 2 told to those of the key
//	alarms      one a threshold that is not for each key
//	last        number
//	whole       window; not with latest
//	sources     how many, sorted by key; each:
//	            key: bytes shared with the key before; how many others, they
//	            newest: number, age of its slice
//	            own window; only with a threshold for each key, and not with latest
//	            alarms, one a threshold for each key
//	checksum    4 bytes, CRC-32C of all before, big endian
//
//	window      how many slices; each, oldest first: age, count, sum
//	            how many lows; each, oldest first: age, number
//	            the same of highs
//	alarm       byte: 1 raised, 2 waits, 4 a cooldown is running
//	            nanoseconds since it began; only with 4
//
// An age is the number of slices between that slice and the present one. What is
// not said to be a byte or a number is a varint; names have their length before
// them.

const (
	version = 1

	flagLatest = 1
	flagBegun  = 2

	flagEach  = 1
	flagToKey = 2

	alarmRaised = 1
	alarmWaits  = 2
	alarmCools  = 4

	maxSumWhole = 50      // digits before the point of the sum of fewer than 2^64 readings
	maxCount    = 1 << 56 // readings of a slice
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// MarshalBinary encodes everything but the rules. The same readings under the same
// rules have the same bytes. The error is always nil. Where alerts are still to end since
// the rules do not have them any more, these are the bytes that were decoded.
//
// A key takes its own length (less what it shares with the key before) and about
// 4 bytes, and at most 27 for its newest reading. Where readings of one key are
// judged without Latest, it takes up to 105 bytes more without a window and up to
// 100 a slice with one; but only if numbers of 60 digits are sent. An ordinary
// number takes 3 to 5 bytes.
func (r *Readings) MarshalBinary() ([]byte, error) {
	p, err := r.AppendBinary(make([]byte, 0, r.size+256))
	r.size = len(p)
	return p, err
}

// AppendBinary appends what MarshalBinary returns.
func (r *Readings) AppendBinary(dst []byte) ([]byte, error) {
	if r.bytes != nil { // there are alerts that nobody has been told the end of
		return append(dst, r.bytes...), nil
	}
	start := len(dst)
	dst = append(dst, version, bit(r.rules.Latest, flagLatest)|bit(r.begun, flagBegun))
	dst = binary.AppendUvarint(dst, uint64(r.width))
	dst = binary.AppendUvarint(dst, uint64(r.at))
	dst = r.appendThresholds(dst)
	dst = r.appendAlarms(dst, r.alarms, false)
	dst = appendNumber(dst, r.last)
	if !r.rules.Latest {
		dst = r.appendWindow(dst, &r.whole)
	}
	dst = r.appendSources(dst)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli)), nil
}

func (r *Readings) appendThresholds(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(r.rules.Thresholds)))
	for i := range r.rules.Thresholds {
		t := &r.rules.Thresholds[i]
		dst = binary.AppendUvarint(dst, uint64(len(t.Name)))
		dst = append(dst, t.Name...)
		dst = append(dst, bit(t.Each, flagEach)|bit(t.ToKey, flagToKey))
	}
	return dst
}

// bit returns flag if it is on, and else 0.
func bit(on bool, flag byte) byte {
	if on {
		return flag
	}
	return 0
}

// appendAlarms appends the alarms of thresholds that are for each key, or of the
// others.
func (r *Readings) appendAlarms(dst []byte, alarms []alarm, each bool) []byte {
	for i := range alarms {
		if r.rules.Thresholds[i].Each == each {
			dst = r.appendAlarm(dst, i, &alarms[i])
		}
	}
	return dst
}

func (r *Readings) appendAlarm(dst []byte, threshold int, a *alarm) []byte {
	cools := r.rules.Thresholds[threshold].cools(a, r.at)
	dst = append(dst, bit(a.raised, alarmRaised)|bit(a.waits, alarmWaits)|bit(cools, alarmCools))
	if cools {
		dst = binary.AppendUvarint(dst, since(a.begin, r.at))
	}
	return dst
}

func (r *Readings) appendAge(dst []byte, slice int64) []byte {
	return binary.AppendUvarint(dst, uint64(r.slice-slice))
}

func (r *Readings) appendWindow(dst []byte, w *window) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(w.slices)))
	for i := range w.slices {
		dst = r.appendAge(dst, w.slices[i].number)
		dst = binary.AppendUvarint(dst, w.slices[i].count)
		dst = appendNumber(dst, w.slices[i].sum)
	}
	dst = r.appendExtremes(dst, w.lows)
	return r.appendExtremes(dst, w.highs)
}

func (r *Readings) appendExtremes(dst []byte, list []extreme) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		dst = r.appendAge(dst, list[i].slice)
		dst = appendNumber(dst, list[i].value)
	}
	return dst
}

func (r *Readings) appendSources(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(r.sorted)))
	before := ""
	for _, s := range r.sorted {
		n := shared(before, s.key)
		dst = binary.AppendUvarint(dst, uint64(n))
		dst = binary.AppendUvarint(dst, uint64(len(s.key)-n))
		dst = append(dst, s.key[n:]...)
		dst = appendNumber(dst, s.newest)
		dst = r.appendAge(dst, s.slice)
		if r.keepsOwn() {
			dst = r.appendWindow(dst, &s.own)
		}
		dst = r.appendAlarms(dst, s.alarms, true)
		before = s.key
	}
	return dst
}

// shared returns how many bytes at the beginning of two keys are the same.
func shared(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
