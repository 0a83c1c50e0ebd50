package replica

import (
	"encoding/binary"
	"slices"
)

// horizon is until when names of one owner have been forgotten.
type horizon struct {
	owner   owner
	version uint64
}

const (
	maxHorizons = 8
	horizonSize = 12
)

// horizonOf returns the version before which operations of an owner may have counted
// under names that are forgotten.
func (t *names) horizonOf(o owner) uint64 {
	if i := t.indexOf(o); i >= 0 {
		return max(t.horizon, t.own[i].version)
	}
	return t.horizon
}

func (t *names) indexOf(o owner) int {
	return slices.IndexFunc(t.own, func(h horizon) bool { return h.owner == o })
}

// raise notes that a name of an owner, last used at a version, is forgotten. For a user
// that has more than its share, only the horizon of that user is raised. There are few
// such horizons: the oldest becomes part of the one for everybody when there are too many.
func (t *names) raise(o owner, version uint64) {
	if !o.isUser() || t.owners[o] <= ownerShare {
		t.horizon = max(t.horizon, version)
		return
	}
	if i := t.indexOf(o); i >= 0 {
		version = max(version, t.own[i].version)
		t.own = slices.Delete(t.own, i, i+1)
	}
	if len(t.own) == maxHorizons {
		t.horizon = max(t.horizon, t.own[0].version)
		t.own = slices.Delete(t.own, 0, 1)
	}
	t.own = append(t.own, horizon{o, version})
}

// appendHorizons appends the stored form: 8 bytes of the room's horizon, 1 byte for the
// number of others, and of each the owner and 8 bytes.
func (t *names) appendHorizons(dst []byte) []byte {
	dst = append(binary.LittleEndian.AppendUint64(dst, t.horizon), byte(len(t.own)))
	for _, h := range t.own {
		dst = binary.LittleEndian.AppendUint64(append(dst, h.owner[:]...), h.version)
	}
	return dst
}

// parseHorizons returns the horizons at the beginning of p and the rest.
func parseHorizons(p []byte) (room uint64, own []horizon, rest []byte, ok bool) {
	if len(p) < 9 || p[8] > maxHorizons || len(p) < 9+int(p[8])*horizonSize {
		return 0, nil, nil, false
	}
	room, n, p := binary.LittleEndian.Uint64(p), int(p[8]), p[9:]
	for range n {
		own, p = append(own, horizon{owner(p[:4]), binary.LittleEndian.Uint64(p[4:])}), p[horizonSize:]
	}
	return room, own, p, true
}
