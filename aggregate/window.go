package aggregate

import "slices"

// windowSlices is how many slices a window has.
const windowSlices = 60

// window is what is known of the readings of the newest slices. Its owner numbers
// the slices, says which of them have left, and keeps the newest reading.
//
// A window without slices of time is one whose readings are all in slice 0.
//
// Adding a reading costs the same however many are in the window. For that the
// sum is kept beside those of the slices: subtracting is exact here. And of all
// readings only those are kept that are, or can still become, the least or the
// greatest: a reading is forgotten when a newer one outdoes it.
type window struct {
	slices []slice // those with readings, oldest first
	count  uint64  // of all slices
	sum    Number  // of all slices

	// Oldest first, at most one a slice. Lows rise and highs fall from each to
	// the next, so that the first is the least or greatest of all, and the last
	// is in the newest slice.
	lows, highs []extreme
}

// slice is one slice of a window.
type slice struct {
	number int64
	count  uint64
	sum    Number
}

// extreme is a reading that is the least or greatest of its slice and all newer
// ones.
type extreme struct {
	slice int64
	value Number
}

// add adds a reading to a slice, which must not be older than the newest.
func (w *window) add(number int64, n Number) {
	if w.newest() != number {
		w.slices = append(w.slices, slice{number: number})
	}
	newest := &w.slices[len(w.slices)-1]
	newest.count++
	newest.sum = newest.sum.plus(n)
	w.count++
	w.sum = w.sum.plus(n)
	w.lows = outdo(w.lows, extreme{number, n}, -1)
	w.highs = outdo(w.highs, extreme{number, n}, +1)
}

// outdo adds e to the lows (sign -1) or highs (sign +1) and forgets those that it
// outdoes.
func outdo(list []extreme, e extreme, sign int) []extreme {
	for len(list) > 0 && e.value.Cmp(list[len(list)-1].value)*sign >= 0 {
		list = list[:len(list)-1]
	}
	if len(list) > 0 && list[len(list)-1].slice == e.slice {
		return list // one that leaves with e outdoes it
	}
	return append(list, e)
}

// newest returns the number of the newest slice, or -1 if there is none.
func (w *window) newest() int64 {
	if len(w.slices) == 0 {
		return -1
	}
	return w.slices[len(w.slices)-1].number
}

// leave takes away the slices before number oldest.
func (w *window) leave(oldest int64) {
	n := 0
	for n < len(w.slices) && w.slices[n].number < oldest {
		w.count -= w.slices[n].count
		w.sum = w.sum.minus(w.slices[n].sum)
		n++
	}
	w.slices = slices.Delete(w.slices, 0, n)
	w.lows = outdated(w.lows, oldest)
	w.highs = outdated(w.highs, oldest)
}

func outdated(list []extreme, oldest int64) []extreme {
	n := 0
	for n < len(list) && list[n].slice < oldest {
		n++
	}
	return slices.Delete(list, 0, n)
}

// summary returns what is known of all readings in the window; last is the
// newest.
func (w *window) summary(last Number) Summary {
	if w.count == 0 {
		return Summary{}
	}
	return Summary{Count: w.count, Sum: w.sum, Min: w.lows[0].value, Max: w.highs[0].value, Last: last}
}

// renumber gives the slices other numbers, which must rise as the old ones do.
// Slices that get the same number become one.
func (w *window) renumber(to func(int64) int64) {
	merged := w.slices[:0]
	for _, s := range w.slices {
		s.number = to(s.number)
		if last := len(merged) - 1; last >= 0 && merged[last].number == s.number {
			merged[last].count += s.count
			merged[last].sum = merged[last].sum.plus(s.sum)
			continue
		}
		merged = append(merged, s)
	}
	w.slices = merged
	w.lows = renumbered(w.lows, to)
	w.highs = renumbered(w.highs, to)
}

func renumbered(list []extreme, to func(int64) int64) []extreme {
	for i := range list {
		list[i].slice = to(list[i].slice)
	}
	// Of those that leave together, the first outdoes the others.
	return slices.CompactFunc(list, func(a, b extreme) bool { return a.slice == b.slice })
}
