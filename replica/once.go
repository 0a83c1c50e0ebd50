package replica

// Once makes an operation count once, however often, over whatever way and to
// whichever process it is sent.
type Once struct {
	ID      ID
	User    string // the sender's name if it has proved one: an ID is the user's
	Network string // the sender's address, or the network of an IPv6 client
	// At is the point that the client had seen when it made the operation, or
	// none. It protects an operation with a key, and the first one of a client, when
	// that has been forgotten.
	At Point
}

// mark is what is remembered of an operation.
type mark struct {
	name   name
	n      uint64
	digest digest
}

func (o *Once) mark(data []byte) mark {
	return mark{name: nameOf(o.User, o.ID), n: o.ID.N, digest: digestOf(data)}
}

// mark returns the mark of an operation with an id.
func (op *Operation) mark() mark {
	m := op.Once.mark(op.Data)
	if op.ByApp {
		m.digest = m.digest.ofMessage()
	}
	return m
}

// judge returns the result of an operation that does not count: a repeat, or one that
// is refused. counts reports that there is none: the operation is to be applied. A key
// is a client without numbers: its only operation is the first one.
func (r *Replica) judge(o *Once, m mark) (res Result, counts bool) {
	known, ok := r.ids.of(o.ID).find(m.name)
	switch {
	case !ok && m.n <= 1:
		return r.judgeFirst(o)
	case !ok:
		return Result{Err: ErrUnknownClient, dated: true}, false
	case m.n == known.last+1:
		return Result{}, true
	case m.n > known.last:
		return Result{Err: ErrExpected(o.ID.Name, known.last+1), dated: true}, false
	case m.n == known.last && !m.digest.fits(known.digest):
		return Result{Err: errReused, dated: true}, false
	}
	return r.repeat(m), false
}

// judgeFirst judges the first operation under a name that is not known. If it was
// made before a name was forgotten, or in another life of the room, that may have
// been this one.
func (r *Replica) judgeFirst(o *Once) (res Result, counts bool) {
	if o.At == (Point{}) {
		return Result{}, true
	}
	if o.At.Epoch != r.epoch || o.At.Version < r.ids.of(o.ID).horizonOf(ownerOf(o.User, o.Network)) {
		return Result{Err: errMayHaveCounted, dated: true}, false
	}
	return Result{}, true
}

// repeat returns the first answer to an operation that has counted, or the present
// state where that is not kept any more.
func (r *Replica) repeat(m mark) Result {
	a, ok := r.ids.answers.find(m.name, m.n)
	switch {
	case !ok:
		return Result{Repeat: true, present: true, dated: true}
	case !m.digest.fits(a.digest):
		return Result{Err: errReused, dated: true}
	}
	return a.result()
}

// remember keeps what came of an operation that counted, with the version after it.
func (r *Replica) remember(o *Once, m mark, version uint64, res Result) {
	r.keepMark(ownerOf(o.User, o.Network), m, version, res)
}

// keepMark is remember for the operation of an owner.
func (r *Replica) keepMark(o owner, m mark, version uint64, res Result) {
	t := &r.ids
	t.changed = true
	t.of(ID{N: m.n}).put(m.name, known{owner: o, digest: m.digest, last: m.n, used: version})
	t.answers.add(newAnswer(m, res))
	t.answers.drop(maxIDsSize - (t.size() - len(t.answers.log)))
}

// IsPresent reports whether the operation has counted before and its answer is not kept any
// more: the reply and the version are the present ones.
func (res *Result) IsPresent() bool { return res.present }

// showPresent completes the answers to repeats whose first answer is not kept.
func (r *Replica) showPresent(results []Result) {
	if r.ids.empty() {
		return
	}
	for i := range results {
		if results[i].present {
			results[i].Outcome.Reply, results[i].Version = r.view, r.stored.version
		}
	}
}
