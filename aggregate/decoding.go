package aggregate

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
)

// UnmarshalBinary replaces everything but the rules by what MarshalBinary has
// encoded. Damaged bytes and those of a later version are refused, and nothing
// changes then. It keeps nothing of p.
//
// The bytes may have been written under other rules: what both rules have stays.
// An alert goes on under the threshold of the same name that is for each key, or
// for all, as the old one was; alerts without such a threshold end. A
// window of another length takes over the readings that are in both, as precisely
// as their slices tell. Keys beyond MaxKeys stay until they go by themselves. What
// is needed and was not stored begins with the newest reading of each key; those
// that were read without a window count as read at the time of the newest call.
// Alerts are judged under the new rules at the next call, and Next is at once if one
// of them begins or ends by that.
func (r *Readings) UnmarshalBinary(p []byte) error {
	old, err := decode(p)
	if err != nil {
		return fmt.Errorf("decoding readings: %w", err)
	}
	*r = *New(r.rules)
	r.adopt(old)
	if len(r.ended) > 0 {
		r.bytes = slices.Clone(p)
	}
	return nil
}

// decode decodes Readings under the rules that they were written under, as far as
// these are stored.
func decode(p []byte) (*Readings, error) {
	body := max(len(p)-crc32.Size, 0)
	if body == 0 || crc32.Checksum(p[:body], castagnoli) != binary.BigEndian.Uint32(p[body:]) {
		return nil, errDamaged
	}
	return decodeBody(p[:body])
}

// decodeBody decodes what stands before the checksum.
func decodeBody(p []byte) (*Readings, error) {
	d := &decoder{p: p}
	if v := d.byte(); !d.damaged && v != version {
		return nil, fmt.Errorf("version %d, expected %d", v, version)
	}
	flags := d.flags(flagLatest | flagBegun)
	width, at := d.int64(), d.int64()
	r := New(Rules{Latest: flags&flagLatest != 0, Thresholds: d.thresholds()})
	r.begun = flags&flagBegun != 0
	r.width, r.at = width, at
	r.slice = r.sliceOf(at)
	d.readings(r)
	if d.check(len(d.p) == 0); d.damaged {
		return nil, errDamaged
	}
	return r, nil
}

// thresholds reads what is stored of thresholds: which there were.
func (d *decoder) thresholds() []Threshold {
	var thresholds []Threshold
	for n := d.count(); n > 0 && !d.damaged; n-- {
		name := string(d.bytes(d.count()))
		flags := d.flags(flagEach | flagToKey)
		thresholds = append(thresholds, Threshold{Name: name, Each: flags&flagEach != 0, ToKey: flags&flagToKey != 0})
	}
	return thresholds
}

// readings reads what follows the thresholds into r.
func (d *decoder) readings(r *Readings) {
	d.alarms(r, r.alarms, false)
	r.last = d.number(maxNumberWhole)
	if !r.rules.Latest {
		r.whole = d.window(r.slice)
	}
	before := ""
	for n := d.count(); n > 0 && !d.damaged; n-- {
		s := r.insert(d.key(before))
		d.check(s.key > before || len(r.sorted) == 1)
		d.source(r, s)
		before = s.key
	}
}

// alarms reads the alarms of thresholds that are for each key, or of the others.
func (d *decoder) alarms(r *Readings, alarms []alarm, each bool) {
	for i := range alarms {
		if r.rules.Thresholds[i].Each == each {
			alarms[i] = d.alarm(r.at)
		}
	}
}

func (d *decoder) alarm(at int64) alarm {
	flags := d.flags(alarmRaised | alarmWaits | alarmCools)
	a := alarm{raised: flags&alarmRaised != 0, waits: flags&alarmWaits != 0}
	if flags&alarmCools != 0 {
		a.begun, a.begin = true, at-int64(d.uvarint(uint64(at)))
	}
	return a
}

// key reads a key, of which the beginning may be that of the key before.
func (d *decoder) key(before string) string {
	n := int(d.uvarint(uint64(len(before))))
	return before[:n] + string(d.bytes(int(d.uvarint(uint64(maxKey-n)))))
}

// source reads what follows the key.
func (d *decoder) source(r *Readings, s *source) {
	s.newest = d.number(maxNumberWhole)
	s.slice = d.slice(r.slice)
	if r.keepsOwn() {
		s.own = d.window(r.slice)
		d.check(s.own.newest() == s.slice)
	}
	d.alarms(r, s.alarms, true)
}

// slice reads the age of a slice and returns its number.
func (d *decoder) slice(present int64) int64 {
	return present - int64(d.uvarint(uint64(present)))
}

func (d *decoder) window(present int64) (w window) {
	for n := d.count(); n > 0 && !d.damaged; n-- {
		s := slice{d.slice(present), d.uvarint(maxCount), d.number(maxSumWhole)}
		d.check(s.count > 0 && (len(w.slices) == 0 || w.newest() < s.number))
		w.slices = append(w.slices, s)
		w.count += s.count
		w.sum = w.sum.plus(s.sum)
	}
	w.lows = d.extremes(present, &w, -1)
	w.highs = d.extremes(present, &w, +1)
	return w
}

// extremes reads the lows (sign -1) or highs (sign +1) of a window.
func (d *decoder) extremes(present int64, w *window, sign int) (list []extreme) {
	newest := int64(-1)
	for n := d.count(); n > 0 && !d.damaged; n-- {
		e := extreme{d.slice(present), d.number(maxNumberWhole)}
		d.check(newest < e.slice)
		d.check(len(list) == 0 || e.value.Cmp(list[len(list)-1].value)*sign < 0)
		list = append(list, e)
		newest = e.slice
	}
	d.check(newest == w.newest())
	return list
}

var (
	_ encoding.BinaryMarshaler   = (*Readings)(nil)
	_ encoding.BinaryAppender    = (*Readings)(nil)
	_ encoding.BinaryUnmarshaler = (*Readings)(nil)
)
