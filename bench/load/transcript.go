package load

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// transcript is the account of a room that keeps messages. Its members are told the same
// messages, byte for byte, in the same order, under versions that count up by one from 1.
// Each message is a text of one member, whose texts keep their order; and in the end there
// are as many as were acknowledged.
type transcript struct {
	writers  []*writer // all members
	epoch    string
	acked    uint64
	remember int    // how many messages are remembered when everybody was told them
	begin    uint64 // version before the first of told
	told     []told
}

// told is a message that members were told.
type told struct {
	payload []byte
	missing int // members that have not been told
}

// last returns the version of the newest message.
func (r *transcript) last() uint64 { return r.begin + uint64(len(r.told)) }

// version returns the message of a version, which is remembered.
func (r *transcript) version(v uint64) *told { return &r.told[v-r.begin-1] }

var epochField = []byte(`"epoch":"`)

// join judges what a member is told of where the room stands: nothing has been said.
func (r *transcript) join(payload []byte) error {
	_, epoch, _ := bytes.Cut(payload, epochField)
	epoch, _, found := bytes.Cut(epoch, []byte{'"'})
	if version, err := numberBehind(payload, versionField); err != nil || version != 0 || !found {
		return fmt.Errorf("a member of a new room was told %.200q", payload)
	}
	if r.epoch == "" {
		r.epoch = string(epoch)
	}
	if r.epoch != string(epoch) {
		return fmt.Errorf("a room has the epochs %s and %s", r.epoch, epoch)
	}
	return nil
}

// hear judges what a member was told.
func (r *transcript) hear(w *writer, payload []byte) error {
	if w.next > r.last() {
		if err := r.note(w.next, payload); err != nil {
			return err
		}
	}
	t := r.version(w.next)
	if !bytes.Equal(t.payload, payload) {
		return fmt.Errorf("version %d was told as %.300q and as %.300q", w.next, t.payload, payload)
	}
	w.next++
	t.missing--
	return nil
}

// note judges a message that is told for the first time.
func (r *transcript) note(version uint64, payload []byte) error {
	if got, err := numberBehind(payload, versionField); err != nil || got != version {
		return fmt.Errorf("version %d was told as %.300q", version, payload)
	}
	if err := r.find(version, payload); err != nil {
		return fmt.Errorf("%w: %.300q", err, payload)
	}
	r.told = append(r.told, told{bytes.Clone(payload), len(r.writers)})
	r.forget()
	return nil
}

var (
	dataField = []byte(`"data":"`)
	errText   = errors.New("no member has sent that")
)

// find finds the client that has sent what a message says, and has it judge that.
func (r *transcript) find(version uint64, payload []byte) error {
	_, text, _ := bytes.Cut(payload, dataField)
	if len(text) <= textSize || text[textSize] != '"' {
		return errText
	}
	text = text[:textSize]
	var id int
	var n uint64
	if _, err := fmt.Sscanf(string(text), "%d %d ", &id, &n); err != nil {
		return errText
	}
	i := id - r.writers[0].conn.id
	if i < 0 || i >= len(r.writers) || !bytes.Equal(text, r.writers[i].appendText(nil, n)) {
		return errText
	}
	return r.writers[i].hear(n, version)
}

// forget drops what everybody was told, but for the newest, now and then.
func (r *transcript) forget() {
	const many = 1024
	if len(r.told) < r.remember+many || len(r.told)%many != 0 {
		return
	}
	drop := slices.IndexFunc(r.told, func(t told) bool { return t.missing > 0 })
	drop = min(drop, len(r.told)-r.remember)
	r.told = append([]told(nil), r.told[drop:]...)
	r.begin += uint64(drop)
}

// settled judges the room when everybody has been told everything.
func (r *transcript) settled() error {
	if r.last() != r.acked {
		return fmt.Errorf("a room has %d messages after %d acknowledgements", r.last(), r.acked)
	}
	for _, w := range r.writers {
		if w.next != r.last()+1 {
			return fmt.Errorf("client %d was told %d of %d messages", w.conn.id, w.next-1, r.last())
		}
	}
	return nil
}
