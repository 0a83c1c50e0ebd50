package hub

import "slices"

// least keeps the n least of what is added, in order, each once: the page of a list
// whose rest need not be held.
type least[T any] struct {
	n       int
	compare func(a, b T) int
	kept    []T
}

func (l *least[T]) add(v T) {
	l.kept = append(l.kept, v)
	if len(l.kept) >= 2*l.n {
		l.cut()
	}
}

func (l *least[T]) cut() {
	slices.SortFunc(l.kept, l.compare)
	l.kept = slices.CompactFunc(l.kept, func(a, b T) bool { return l.compare(a, b) == 0 })
	l.kept = l.kept[:min(len(l.kept), l.n)]
}

// all returns what is kept.
func (l *least[T]) all() []T {
	l.cut()
	return l.kept
}
