package blackbox

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// natsLink is the way between a node and a server of NATS. It can lose what the server says.
type natsLink struct {
	*cutter
	loss atomic.Int32
	lost atomic.Int64 // how much was lost
}

// What a link loses of what a server says.
const (
	nothing    = iota
	replies    // to requests, such as acknowledgements; all else arrives
	everything // as if the server stood still
)

// newLink is a link to a server until the test ends.
func newLink(t *testing.T, n *natsServer) *natsLink {
	t.Helper()
	l := &natsLink{cutter: &cutter{target: n.address()}}
	l.answer = l.pass
	l.begin(t)
	return l
}

func (l *natsLink) url() string { return "nats://" + l.Addr().String() }

// lose has what the server says be lost from now on.
func (l *natsLink) lose(what int32) { l.loss.Store(what) }

// pass passes on what is not lost.
func (l *natsLink) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	r := bufio.NewReader(from)
	for {
		said, isAnswer, err := readNATS(r)
		loss := l.loss.Load()
		if err != nil {
			return
		}
		if loss == everything || loss == replies && isAnswer {
			l.lost.Add(1)
			continue
		}
		if _, err := to.Write(said); err != nil {
			return
		}
	}
}

// readNATS reads what a server says next: a line, behind which a message has its bytes, the
// number of which stands last. The subjects of answers begin with _INBOX.
func readNATS(r *bufio.Reader) (said []byte, isAnswer bool, err error) {
	line, err := r.ReadBytes('\n')
	words := strings.Fields(string(line))
	if err != nil || len(words) < 4 || words[0] != "MSG" && words[0] != "HMSG" {
		return line, false, err
	}
	size, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return nil, false, err
	}
	body := make([]byte, size+len("\r\n"))
	_, err = io.ReadFull(r, body)
	return append(line, body...), strings.HasPrefix(words[1], "_INBOX."), err
}

// What is an answer is told from what is none, and all else is passed on as it is.
func TestReadNATS(t *testing.T) {
	const info, ping, told = "INFO {\"x\": \"MSG a 1 2\"}\r\n", "PING\r\n", "MSG websocket.changed.a 7 3\r\na\r\n\r\n"
	const answer, headed = "MSG _INBOX.x.y 1 0\r\n\r\n", "HMSG _INBOX.x.z 1 back 12 14\r\nNATS/1.0\r\n\r\nok\r\n"
	r := bufio.NewReader(strings.NewReader(info + ping + told + answer + headed))
	for _, want := range []string{info, ping, told, answer, headed} {
		said, isAnswer, err := readNATS(r)
		if string(said) != want || err != nil || isAnswer != (want == answer || want == headed) {
			t.Errorf("read %q, an answer: %t, %v, want %q", said, isAnswer, err, want)
		}
	}
	if _, _, err := readNATS(r); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}
