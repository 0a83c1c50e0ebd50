package replica

import "encoding/binary"

// clients remembers the clients of a room that number their operations. A client is
// one record:
//
//	name    16 bytes
//	owner    4 bytes, of whom it is one of several
//	last     8 bytes, the number of its newest operation that counted
//	digest   8 bytes, of that operation
//	used     8 bytes, the version after that operation
//
// There is place for so many. The one that was not used for longest is forgotten
// first; those of an owner that has more than its share, before all others.
type clients struct {
	records []byte
	horizon uint64 // the version at which the newest forgotten one was used last

	// Made from the records when it is needed.
	places  map[name]int // index of the record
	owners  map[owner]int
	greedy  int  // how many owners have more than their share
	indexed bool // places, owners and greedy are of these records
	hand    int  // index of the record to look at first; of those used at one version, each is forgotten in its turn
}

const (
	maxClients = 1024
	ownerShare = 128
	clientSize = 44
)

// client is a decoded record.
type client struct {
	owner  owner
	last   uint64
	digest digest
	used   uint64
}

func (c *clients) restore(horizon uint64, records []byte) {
	c.horizon, c.records, c.indexed = horizon, append(c.records[:0], records...), false
}

func (c *clients) record(i int) []byte { return c.records[i*clientSize : (i+1)*clientSize] }

func ownerIn(record []byte) owner { return owner(record[16:20]) }
func usedIn(record []byte) uint64 { return binary.LittleEndian.Uint64(record[36:]) }

// find returns what is known of a client.
func (c *clients) find(n name) (found client, ok bool) {
	c.index()
	i, ok := c.places[n]
	if !ok {
		return client{}, false
	}
	p := c.record(i)
	return client{
		owner:  ownerIn(p),
		last:   binary.LittleEndian.Uint64(p[20:]),
		digest: digest(p[28:36]),
		used:   usedIn(p),
	}, true
}

// put remembers a client, for which another is forgotten if need be.
func (c *clients) put(n name, now client) {
	c.index()
	i, ok := c.places[n]
	if ok {
		now.owner = ownerIn(c.record(i))
	} else {
		i = c.place()
		c.places[n] = i
		c.own(now.owner, 1)
	}
	p := append(c.record(i)[:0], n[:]...)
	p = append(p, now.owner[:]...)
	p = binary.LittleEndian.AppendUint64(p, now.last)
	p = append(p, now.digest[:]...)
	binary.LittleEndian.AppendUint64(p, now.used)
}

// place returns the index of a record that is free.
func (c *clients) place() int {
	n := len(c.records) / clientSize
	if n < maxClients {
		c.records = append(c.records, make([]byte, clientSize)...)
		return n
	}
	i := c.oldest()
	p := c.record(i)
	c.horizon = max(c.horizon, usedIn(p))
	delete(c.places, name(p[:16]))
	c.own(ownerIn(p), -1)
	return i
}

// oldest returns the index of the record to forget.
func (c *clients) oldest() (oldest int) {
	var least uint64
	found := false
	n := len(c.records) / clientSize
	for k := range n {
		i := (c.hand + k) % n
		p := c.record(i)
		if found && usedIn(p) >= least || c.greedy > 0 && c.owners[ownerIn(p)] <= ownerShare {
			continue
		}
		oldest, least, found = i, usedIn(p), true
	}
	c.hand = oldest + 1
	return oldest
}

// own counts one client of an owner more or less.
func (c *clients) own(o owner, one int) {
	c.owners[o] += one
	switch now := c.owners[o]; {
	case now == 0:
		delete(c.owners, o)
	case one > 0 && now == ownerShare+1:
		c.greedy++
	case one < 0 && now == ownerShare:
		c.greedy--
	}
}

// index makes what is looked up.
func (c *clients) index() {
	if c.indexed {
		return
	}
	if c.places == nil {
		c.places, c.owners = make(map[name]int), make(map[owner]int)
	}
	clear(c.places)
	clear(c.owners)
	c.greedy, c.indexed = 0, true
	for i := range len(c.records) / clientSize {
		p := c.record(i)
		c.places[name(p[:16])] = i
		c.own(ownerIn(p), 1)
	}
}
