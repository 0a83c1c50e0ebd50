package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// History is the work of clients that send texts into rooms that keep them. Each text is
// acknowledged, and everybody in the room is told it.
type History struct {
	Path    string // what stands before /<number> of a room
	Rooms   int    // among which the clients are divided
	Clients int
	Window  int  // texts in flight of each
	IDs     bool // texts have ids under which they count once; else ids are only repeated
	Kept    int  // how many of the newest messages a room keeps at least
}

// history is History as it runs.
type history struct {
	g       *Generator
	work    History
	rooms   []*transcript
	writers []*writer
	unseen  int // clients that are not told yet where their room stands
	flying  int // texts that are not acknowledged
	untold  int // texts that clients are still to be told
	frames  []byte
}

// History connects the clients.
func (g *Generator) History(w History) error {
	h := &history{g: g, work: w, unseen: w.Clients}
	for i := range w.Rooms {
		if err := h.join(i); err != nil {
			return err
		}
	}
	g.work = h
	return g.consumeEarly()
}

// join connects the clients of one room.
func (h *history) join(i int) error {
	begin := len(h.g.conns)
	if err := h.g.connect(share(h.work.Clients, i, h.work.Rooms), h.path(i), false, "json"); err != nil {
		return err
	}
	members := h.g.conns[begin:]
	r := &transcript{remember: h.work.Kept}
	for _, c := range members {
		c.writer = newWriter(c, r, h.work.Window, h.work.IDs)
		r.writers = append(r.writers, c.writer)
	}
	h.rooms, h.writers = append(h.rooms, r), append(h.writers, r.writers...)
	return nil
}

func (h *history) path(i int) string { return h.work.Path + "/" + strconv.Itoa(i) }

var (
	stateBegin   = []byte(`{"type":"state"`)
	messageBegin = []byte(`{"type":"message"`)
	versionField = []byte(`"version":`)
)

func (h *history) message(c *conn, payload []byte) error {
	w := c.writer
	switch {
	case bytes.HasPrefix(payload, replyBegin):
		return h.reply(w, payload)
	case bytes.HasPrefix(payload, messageBegin) && w.joined:
		h.untold--
		return w.room.hear(w, payload)
	case bytes.HasPrefix(payload, stateBegin) && !w.joined:
		h.unseen--
		w.joined = true
		return w.room.join(payload)
	}
	return fmt.Errorf("a member was told %.200q", payload)
}

func (h *history) reply(w *writer, payload []byte) error {
	if err := w.acknowledge(payload); err != nil {
		return fmt.Errorf("%w: %.200q", err, payload)
	}
	h.flying--
	h.g.count++
	h.g.took(w.end())
	return nil
}

func (h *history) tick(sending bool) (bool, error) {
	if h.unseen > 0 {
		return true, nil
	}
	if !sending {
		return h.settle()
	}
	for _, w := range h.writers {
		if n := w.free(); n > 0 {
			if err := h.say(w, n); err != nil {
				return true, err
			}
		}
	}
	return true, nil
}

// say sends n texts.
func (h *history) say(w *writer, n int) error {
	h.flying += n
	h.untold += n * len(w.room.writers)
	h.frames = w.send(h.frames[:0], n, h.g.now)
	return h.g.send(w.conn, h.frames)
}

// settle waits for what is in flight, and judges the rooms when nothing is.
func (h *history) settle() (busy bool, err error) {
	if h.flying > 0 || h.untold > 0 {
		return true, nil
	}
	for _, r := range h.rooms {
		if err := r.settled(); err != nil {
			return false, err
		}
	}
	return false, nil
}
