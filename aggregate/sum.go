package aggregate

// Sum is the state of a running total. The zero value is the empty one, with
// the total 0. Like [Number] it is a value: Add returns the next state and
// leaves the receiver alone, so a state that has been handed out stays true.
// Safe for concurrent use; putting additions in an order is the caller's part.
type Sum struct {
	// Total is the exact sum of all numbers added.
	Total Number
}

// Add returns the state with n added. When the total would have more than 60
// digits before the point it returns s as it was and ErrTotalTooLarge; that
// takes at least 10^30 additions of what [ParseNumber] accepts.
func (s Sum) Add(n Number) (Sum, error) {
	total, err := s.Total.Add(n)
	if err != nil {
		return s, err
	}
	return Sum{Total: total}, nil
}
