package blackbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	wireRate  = 500  // messages a second
	wireAhead = 1000 // how many may be sent before they are acknowledged
)

// wire publishes a number at a time, 500 a second, whether those before are acknowledged or not.
// When its connection ends it sends again, over another one, what is not.
func (n *newspaper) wire() error {
	begun, first := time.Now(), n.printed.Load()
	due := func() uint64 {
		paced := first + uint64(time.Since(begun).Seconds()*wireRate)
		return min(paced, n.printed.Load()+wireAhead)
	}
	for n.printed.Load() < n.last.Load() {
		if err := n.wireOnce(due); errors.Is(err, errWrong) {
			return err
		}
	}
	return nil
}

// wireOnce is wire until the connection ends, or a message is refused that may be sent again: the
// server, or what it stores in, is down.
func (n *newspaper) wireOnce(due func() uint64) error {
	c, err := n.join(n.printed.Load())
	if err != nil {
		return err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	defer c.Close()
	ended := make(chan struct{})
	defer close(ended)
	from := n.printed.Load()
	sending.Go(func() { n.send(c, from, due, ended) })
	return n.takeAnswers(c)
}

// send sends each number when it is due.
func (n *newspaper) send(c *websocket.Conn, from uint64, due func() uint64, ended <-chan struct{}) {
	tick := time.NewTicker(time.Second / wireRate)
	defer tick.Stop()
	for i := from; ; {
		for ; i <= due() && n.take(i); i++ {
			if c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"data":"%d","id":"press:%d"}`, i, i)) != nil {
				return // the reader is told
			}
		}
		select {
		case <-tick.C:
		case <-ended:
			return
		}
	}
}

// takeAnswers notes what is acknowledged: each number at its place, in their order.
func (n *newspaper) takeAnswers(c *websocket.Conn) error {
	for n.printed.Load() < n.last.Load() {
		_, p, err := c.ReadMessage()
		if err != nil {
			return err
		}
		var m kept
		if err := json.Unmarshal(p, &m); err != nil {
			return fmt.Errorf("%w: %s", errWrong, p)
		}
		switch m.Type {
		case "error":
			if !m.Retry && m.Code != "unknown" {
				return fmt.Errorf("%w: %s behind %d", errWrong, p, n.printed.Load())
			}
			time.Sleep(5 * time.Millisecond)
			return errors.New(m.Error)
		case "reply":
			number, _ := strings.CutPrefix(m.ID, "press:")
			i, err := strconv.ParseUint(number, 10, 64)
			if err != nil || m.Version != i || i > n.printed.Load()+1 {
				return fmt.Errorf("%w: %s behind %d", errWrong, p, n.printed.Load())
			}
			n.printed.Store(max(i, n.printed.Load()))
		}
	}
	return nil
}
