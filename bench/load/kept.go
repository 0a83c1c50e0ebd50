package load

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"time"
)

// check has one more client of each room ask for all that the room keeps, and compares that
// with what its members were told.
func (h *history) check() error {
	for i, r := range h.rooms {
		if r.last() == 0 {
			continue
		}
		k := &kept{room: r, least: h.work.Kept}
		if err := k.read(h.g.addr, h.path(i)+"?after="+r.epoch+"-0"); err != nil {
			return fmt.Errorf("reading what room %d keeps of %d messages: %w", i, r.last(), err)
		}
	}
	return nil
}

// kept is what a room shows of the messages that it keeps.
type kept struct {
	room   *transcript
	least  int    // how many it keeps at least, if there were so many
	oldest uint64 // version that it has told a gap before; 0: it has told none
	next   uint64 // version of the next; 0 before the first
}

// read connects to path and reads until the newest message has come.
func (k *kept) read(addr, path string) error {
	stream, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := stream.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	p, err := handshake(stream, addr, path, "json")
	buffer := make([]byte, 64<<10)
	for err == nil {
		if p, err = k.consume(p); err != nil || k.next > k.room.last() {
			return err
		}
		var n int
		n, err = stream.Read(buffer)
		p = append(p, buffer[:n]...)
	}
	return err
}

// consume takes the frames that have come wholly.
func (k *kept) consume(p []byte) ([]byte, error) {
	for {
		opcode, payload, size, err := cutFrame(p)
		if err != nil || size == 0 {
			return p, err
		}
		p = p[size:]
		switch {
		case opcode == opClose:
			return p, fmt.Errorf("server sent close frame %q", payload)
		case opcode == opText:
			err = k.message(payload)
		}
		if err != nil {
			return p, err
		}
	}
}

var (
	gapBegin    = []byte(`{"type":"gap"`)
	oldestField = []byte(`"oldest":`)
)

func (k *kept) message(payload []byte) error {
	switch {
	case bytes.HasPrefix(payload, gapBegin):
		return k.gap(payload)
	case bytes.HasPrefix(payload, stateBegin):
		return nil
	case !bytes.HasPrefix(payload, messageBegin):
		return fmt.Errorf("%.300q came", payload)
	}
	version, err := numberBehind(payload, versionField)
	if err != nil {
		return err
	}
	if k.next == 0 {
		err = k.begin(version)
	}
	switch {
	case err != nil:
		return err
	case version != k.next || version > k.room.last():
		return fmt.Errorf("version %d came in place of %d", version, k.next)
	case version > k.room.begin && !bytes.Equal(payload, k.room.version(version).payload):
		return fmt.Errorf("%.300q came, which was told as %.300q", payload, k.room.version(version).payload)
	}
	k.next++
	return nil
}

// gap judges that older messages are not kept.
func (k *kept) gap(payload []byte) error {
	oldest, err := numberBehind(payload, oldestField)
	switch {
	case err != nil:
		return err
	case k.oldest > 0 || k.next > 0:
		return fmt.Errorf("%.300q came, which is not the first", payload)
	case oldest <= 1 || oldest > k.room.last():
		return fmt.Errorf("%.300q came of %d messages", payload, k.room.last())
	}
	k.oldest = oldest
	return nil
}

// begin judges where the messages begin.
func (k *kept) begin(version uint64) error {
	k.next = version
	switch {
	case version > 1 && k.oldest == 0:
		return fmt.Errorf("messages before version %d are missing, and no gap was told", version)
	case k.oldest > 0 && version != k.oldest:
		return fmt.Errorf("messages begin with version %d, and a gap before version %d was told", version, k.oldest)
	case version > 1 && k.room.last()-version+1 < uint64(k.least):
		return fmt.Errorf("only messages from version %d on are kept", version)
	}
	return nil
}
