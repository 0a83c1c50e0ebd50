package blackbox

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The process of a hundred clients is killed, with messages on their way: the
// server misses them all, and nobody else notices.
func TestKilledClients(t *testing.T) {
	s := start(t, `GLOBAL
		admin 127.0.0.1:OTHERPORT
	END
	:PORT {
		websocket /sum {
			app sum
			room {path}
			ping off
		}
	}`)
	sender, watcher := s.connect(t), s.connect(t)
	sender.join("/sum")
	watcher.join("/sum", "Sec-WebSocket-Protocol: json")
	leftovers := s.leftovers(t)

	crowd := exec.Command(os.Args[0])
	crowd.Env = append(os.Environ(), crowdAddress+"="+s.address())
	dieTogether(crowd)
	if err := crowd.Start(); err != nil {
		t.Fatal(err)
	}
	defer crowd.Wait()
	watcher.expectTotal(crowdSize)
	sender.expectLast(strconv.Itoa(crowdSize))
	for i := range 100 {
		if i == 50 {
			crowd.Process.Kill()
		}
		sender.write(text("1"))
		sender.expectText(strconv.Itoa(crowdSize + i + 1))
	}
	watcher.expectTotal(crowdSize + 100)

	s.eventually(t, "the end of the crowd", func() bool { return s.ends() == crowdSize })
	leftovers(t)
	s.shows(t, "/sum", strconv.Itoa(crowdSize+100))
}

// expectLast reads messages up to this one.
func (c *socket) expectLast(message string) {
	c.t.Helper()
	for c.frame().payload != message {
	}
}

// expectTotal reads states up to the one with this total.
func (c *socket) expectTotal(total int) {
	c.t.Helper()
	for end := fmt.Sprintf(`"total":%d}`, total); !strings.HasSuffix(c.frame().payload, end); {
	}
}
