package aggregate

// Fold is what can be made of many readings: one number.
type Fold uint8

// The folds. Sum and count are 0 without readings, the others have no value
// then.
const (
	FoldSum   Fold = iota // the exact sum
	FoldCount             // how many there are
	FoldMin               // the least
	FoldMax               // the greatest
	FoldMean              // the sum divided by the count
	FoldLast              // the newest
)

var foldNames = [...]string{"sum", "count", "min", "max", "mean", "last"}

// ParseFold returns the fold of that name, and whether there is one: sum, count,
// min, max, mean or last.
func ParseFold(name string) (Fold, bool) {
	for i, n := range foldNames {
		if n == name {
			return Fold(i), true
		}
	}
	return 0, false
}

// String returns the name of the fold.
func (f Fold) String() string { return foldNames[f] }

// Summary is what is known of a number of readings. The zero value is that of
// none.
type Summary struct {
	Count uint64
	Sum   Number // exact
	// Min, Max and Last have no meaning while Count is 0.
	Min, Max, Last Number
}

// Value returns the value of a fold, and whether there is one. The mean is
// rounded, see [Summary.Mean]; the others are exact.
func (s *Summary) Value(f Fold) (Number, bool) {
	some := s.Count > 0
	switch f {
	case FoldSum:
		return s.Sum, true
	case FoldCount:
		return fromCount(s.Count), true
	case FoldMin:
		return s.Min, some
	case FoldMax:
		return s.Max, some
	case FoldMean:
		return s.Mean(), some
	default:
		return s.Last, some
	}
}

// Mean returns the mean for people to read: rounded to 12 significant digits, or
// to 30 digits after the point where that is less; a half goes to the even
// digit. Without readings it is 0.
func (s *Summary) Mean() Number {
	if s.Count == 0 {
		return Number{}
	}
	return quotient(s.Sum, s.Count)
}

// compare compares a fold with a level exactly, the mean too: -1 if the fold is
// less, 0 if they are equal and +1 if it is greater. It reports false if the
// fold has no value.
func (s *Summary) compare(f Fold, level Number) (order int, ok bool) {
	if f == FoldMean {
		return s.Sum.Cmp(product(level, s.Count)), s.Count > 0
	}
	n, ok := s.Value(f)
	return n.Cmp(level), ok
}
