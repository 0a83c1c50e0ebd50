package room

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strconv"

	"github.com/caddyws/caddy-websocket/message"
	"github.com/caddyws/caddy-websocket/replica"
)

// History is the messages that a plain request is shown.
type History struct {
	Epoch       string
	First, Last uint64 // the oldest version that is kept, and the newest there is
	Gap         bool   // what was asked for is not kept any more: messages are from First on

	messages []message.Message
	gap      message.Message
}

// maxShown bounds what is shown at once, in bytes of messages as they are stored.
const maxShown = 1 << 20

// History shows the messages behind the point that was seen, the oldest first, or, if none
// is said, the newest: at most so many, and no more than a MiB but for the last one. The room
// is loaded, and keeps messages.
func (r *Room) History(ctx context.Context, seen Seen, limit int) (h History, err error) {
	ctx, cancel := r.shared.bound(ctx, loadTimeout)
	defer cancel()
	now := r.current()
	if h, err = now.history(ctx, seen, limit); errors.Is(err, replica.ErrMissing) && r.lookAgain(ctx, now) {
		h, err = r.current().history(ctx, seen, limit)
	}
	if err == nil && h.Gap {
		r.tally.Gap()
	}
	return h, err
}

// history is History as of a commit.
func (s snapshot) history(ctx context.Context, seen Seen, limit int) (h History, err error) {
	oldest, err := s.past.Oldest(ctx)
	if err != nil {
		return h, err
	}
	asks := Member{identity: &identity{seen: seen}}
	version, known := asks.wanted(s, limit)
	h = History{Epoch: s.epoch, First: oldest, Last: s.version, Gap: !known || seen.said && version < oldest}
	h.gap = s.gapBefore(oldest)
	if version = max(version, oldest); !seen.said {
		version, err = s.past.Newest(ctx, oldest, limit, maxShown)
	}
	if err == nil {
		err = h.read(ctx, s, version, limit)
	}
	return h, err
}

// read adds messages from a version on. If the first page was not enough there were refusals
// among them, perhaps many.
func (h *History) read(ctx context.Context, now snapshot, version uint64, limit int) error {
	n := limit
	for size := 0; version <= now.version && len(h.messages) < limit && size < maxShown; n = catchUpPage {
		page, err := now.past.Read(ctx, version-1, n, maxShown-size)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, k := range page {
			if !k.Silent && len(h.messages) < limit {
				h.messages = append(h.messages, now.kept(k))
			}
			size += sizeOf(&k)
		}
		version = page[len(page)-1].Version + 1
	}
	return nil
}

// ID names what is shown as of now.
func (h History) ID() string {
	return message.Point{Epoch: h.Epoch, Version: h.Last}.String() + "-" + strconv.FormatUint(h.First, 10)
}

// Text returns the texts of the messages, each with a line end behind it; binary ones in
// base64.
func (h History) Text() []byte {
	var p []byte
	if h.Gap {
		p = append(append(p, h.gap.Text...), '\n')
	}
	for _, m := range h.messages {
		if m.Binary {
			p = base64.StdEncoding.AppendEncode(p, m.Text)
		} else {
			p = append(p, m.Text...)
		}
		p = append(p, '\n')
	}
	return p
}

// JSON returns all as an object.
func (h History) JSON() []byte {
	var p bytes.Buffer
	p.WriteString(`{"type":"history","epoch":"` + h.Epoch + `","first":` + strconv.FormatUint(h.First, 10) + `,"last":` + strconv.FormatUint(h.Last, 10))
	if h.Gap {
		p.WriteString(`,"gap":true`)
	}
	p.WriteString(`,"messages":[`)
	for i, m := range h.messages {
		if i > 0 {
			p.WriteByte(',')
		}
		p.Write(m.Payload(message.JSON))
	}
	p.WriteString("]}")
	return p.Bytes()
}
