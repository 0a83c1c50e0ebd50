package replica

import "encoding/binary"

// names remembers under what names operations have counted: those of the clients of a
// room, or the keys. A name is one record:
//
//	name    16 bytes
//	owner    4 bytes, of whom it is one of several
//	digest   8 bytes, of its newest operation that counted
//	last     6 bytes, the number of that operation; 0 of a key
//	used     6 bytes, the version after it
//
// There is place for so many. The one that was not used for longest is forgotten
// first; those of an owner that has more than its share, before all others. For the
// horizons see the comment of the package.
type names struct {
	records []byte
	horizon uint64    // the version at which the newest forgotten one was used last
	own     []horizon // of users for whom it is a later one

	// Made from the records when it is needed.
	index   chains
	indexed bool             // index is of these records
	owners  map[owner]uint16 // nil until one is to be forgotten
	greedy  int              // how many owners have more than their share
	hand    int              // index of the record to look at first; of those used at one version, each is forgotten in its turn
}

const (
	maxNames   = 1024
	ownerShare = 128
	nameSize   = 40
)

// known is a decoded record without its name.
type known struct {
	owner  owner
	digest digest
	last   uint64
	used   uint64
}

func (t *names) restore(stored nameParts) {
	t.horizon, t.own = stored.horizon, append(t.own[:0], stored.own...)
	t.records = append(t.records[:0], stored.records...)
	t.indexed, t.owners = false, nil
}

func (t *names) len() int { return len(t.records) / nameSize }

func (t *names) record(i int) []byte { return t.records[i*nameSize : (i+1)*nameSize] }

func ownerIn(record []byte) owner { return owner(record[16:20]) }
func usedIn(record []byte) uint64 { return uint48(record[34:]) }

// Numbers and versions have 48 bits: a room that counts a million operations a second
// gets by with them for nine years.
func uint48(p []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(p)) | uint64(binary.LittleEndian.Uint16(p[4:]))<<32
}

func appendUint48(dst []byte, n uint64) []byte {
	return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(dst, uint32(n)), uint16(n>>32))
}

// place returns the index of the record of a name, or -1.
func (t *names) place(n name) int {
	if !t.indexed {
		t.index.reset()
		for i := range t.len() {
			t.index.add(name(t.record(i)[:16]), i)
		}
		t.indexed = true
	}
	return t.index.find(n, func(i int) bool { return name(t.record(i)[:16]) == n })
}

// find returns what is known of a name.
func (t *names) find(n name) (found known, ok bool) {
	i := t.place(n)
	if i < 0 {
		return known{}, false
	}
	p := t.record(i)
	return known{owner: ownerIn(p), digest: digest(p[20:28]), last: uint48(p[28:]), used: usedIn(p)}, true
}

// put remembers a name, for which another is forgotten if need be.
func (t *names) put(n name, now known) {
	i := t.place(n)
	if i >= 0 {
		now.owner = ownerIn(t.record(i))
	} else {
		i = t.free()
		t.index.add(n, i)
		t.count(now.owner, 1)
	}
	p := append(t.record(i)[:0], n[:]...)
	p = append(p, now.owner[:]...)
	p = append(p, now.digest[:]...)
	appendUint48(appendUint48(p, now.last), now.used)
}

// free returns the index of a record that is free.
func (t *names) free() int {
	n := t.len()
	if n < maxNames {
		t.records = append(t.records, make([]byte, nameSize)...)
		return n
	}
	t.countAll()
	i := t.oldest()
	p := t.record(i)
	t.raise(ownerIn(p), usedIn(p))
	t.index.remove(name(p[:16]), i)
	t.count(ownerIn(p), -1)
	return i
}

// oldest returns the index of the record to forget.
func (t *names) oldest() (oldest int) {
	var least uint64
	found := false
	n := t.len()
	for k := range n {
		i := (t.hand + k) % n
		p := t.record(i)
		if found && usedIn(p) >= least || t.greedy > 0 && t.owners[ownerIn(p)] <= ownerShare {
			continue
		}
		oldest, least, found = i, usedIn(p), true
	}
	t.hand = oldest + 1
	return oldest
}

// countAll counts the names of each owner.
func (t *names) countAll() {
	if t.owners != nil {
		return
	}
	t.owners, t.greedy = make(map[owner]uint16), 0
	for i := range t.len() {
		t.count(ownerIn(t.record(i)), 1)
	}
}

// count counts one name of an owner more or less, if they are counted.
func (t *names) count(o owner, one int) {
	if t.owners == nil {
		return
	}
	now := int(t.owners[o]) + one
	t.owners[o] = uint16(now)
	switch {
	case now == 0:
		delete(t.owners, o)
	case one > 0 && now == ownerShare+1:
		t.greedy++
	case one < 0 && now == ownerShare:
		t.greedy--
	}
}
