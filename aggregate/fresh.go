package aggregate

import "slices"

// fresh is the sources that have had a reading since they were last visited.
type fresh struct {
	known   bool      // none has come or gone since, and there were not too many
	sources []*source // each perhaps several times
}

// maxFresh is how many readings are remembered: with more it is as well to look at all keys.
const maxFresh = 32

func (f *fresh) add(s *source) {
	switch {
	case !f.known:
	case len(f.sources) == maxFresh:
		f.forget()
	default:
		f.sources = append(f.sources, s)
	}
}

// forget has the next visit find nothing known.
func (f *fresh) forget() {
	f.known = false
	clear(f.sources)
	f.sources = f.sources[:0]
}

// VisitFresh calls visit with the newest reading of each key that has had one since it was
// last called, and with its place among [Readings.Keys]; perhaps several times. It is for a
// caller that keeps what it has made of all keys. It reports false, without a call, if all
// have to be looked at: keys have come or gone, there were many readings, or it is called for
// the first time.
func (r *Readings) VisitFresh(visit func(place int, key string, newest Number)) (known bool) {
	known = r.fresh.known
	for _, s := range r.fresh.sources {
		place, _ := slices.BinarySearchFunc(r.sorted, s.key, compareKey)
		visit(place, s.key, s.newest)
	}
	r.fresh.forget()
	r.fresh.known = true
	return known
}
