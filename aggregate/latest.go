package aggregate

// latest is what is known of the newest reading of each source.
//
// The sum is exact, so that the reading before can be taken out of it. The least
// and the greatest are looked for among all sources only when asked for, and only
// if the source that had it has come back inwards, or is gone, since.
type latest struct {
	sum       Number
	low, high *source // one with the least and one with the greatest; nil: not known
}

// replace puts n in the place of the newest reading of s, which the caller stores
// in s afterwards. For a new source that reading is 0.
func (l *latest) replace(s *source, n Number) {
	l.sum = l.sum.minus(s.newest).plus(n)
	l.low = outermost(l.low, s, n, -1)
	l.high = outermost(l.high, s, n, +1)
}

// outermost returns the holder of the least (sign -1) or greatest (sign +1)
// reading when that of s becomes n, or nil if it has to be looked for.
func outermost(holder, s *source, n Number, sign int) *source {
	switch {
	case holder == nil:
		return nil
	case n.Cmp(holder.newest)*sign >= 0:
		return s
	case holder == s:
		return nil
	}
	return holder
}

// remove takes out a source that is gone.
func (l *latest) remove(s *source) {
	l.sum = l.sum.minus(s.newest)
	if l.low == s {
		l.low = nil
	}
	if l.high == s {
		l.high = nil
	}
}

// summary returns what is known of the newest readings of all sources; last is
// the newest of them.
func (l *latest) summary(sources []*source, last Number) Summary {
	if len(sources) == 0 {
		return Summary{}
	}
	if l.low == nil {
		l.low = find(sources, -1)
	}
	if l.high == nil {
		l.high = find(sources, +1)
	}
	return Summary{Count: uint64(len(sources)), Sum: l.sum, Min: l.low.newest, Max: l.high.newest, Last: last}
}

// find returns the source with the least (sign -1) or greatest (sign +1) reading.
func find(sources []*source, sign int) *source {
	found := sources[0]
	for _, s := range sources[1:] {
		if s.newest.Cmp(found.newest)*sign > 0 {
			found = s
		}
	}
	return found
}
