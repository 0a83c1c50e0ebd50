package aggregate

// Threshold says when an alert begins and when it ends. An alert begins when its
// fold is above Level (or below it), and lasts until the fold is no longer above
// Clear (or below it).
type Threshold struct {
	Name string // under which a stored state knows it
	Fold Fold
	// Each judges the readings of every key by themselves; else those of all
	// keys are judged together.
	Each  bool
	Below bool // else above
	Level Number
	// Clear is Level, or not as far out.
	Clear Number
	// Cooldown is the shortest time in nanoseconds between two beginnings. An
	// alert that would begin earlier begins when the time is over, if the fold is
	// still beyond Level. 0 and less is none.
	Cooldown int64
	// ToKey is kept with the name and Each, for a caller that tells alerts to those
	// of their key only. Nothing here depends on it.
	ToKey bool
}

// alarm is where the alert of one threshold stands. The zero value has never
// begun.
type alarm struct {
	raised bool
	begun  bool // it has begun at least once, at begin
	begin  int64
	waits  bool // the fold was beyond the level when last judged, but it is too soon
}

// judge takes the readings at the time at and reports whether the alert begins or
// ends with them.
func (t *Threshold) judge(a *alarm, s *Summary, at int64) bool {
	level := t.Level
	if a.raised {
		level = t.Clear
	}
	beyond := t.beyond(s, level)
	a.waits = beyond && !a.raised && t.cools(a, at)
	if beyond == a.raised || a.waits {
		return false
	}
	a.raised = beyond
	if beyond {
		a.begun, a.begin = true, at
	}
	return true
}

// beyond reports whether the fold has a value above level, or below it.
func (t *Threshold) beyond(s *Summary, level Number) bool {
	order, ok := s.compare(t.Fold, level)
	if t.Below {
		order = -order
	}
	return ok && order > 0
}

// cools reports whether the alert may not begin again yet.
func (t *Threshold) cools(a *alarm, at int64) bool {
	return a.begun && t.Cooldown > 0 && since(a.begin, at) < uint64(t.Cooldown)
}

// since returns the nanoseconds from begin to at, which is not earlier.
func since(begin, at int64) uint64 { return uint64(at) - uint64(begin) }
