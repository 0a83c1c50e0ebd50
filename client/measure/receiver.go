package measure

import (
	"bytes"
	"errors"

	"github.com/caddyws/caddy-websocket/client"
)

var (
	errClosed = errors.New("the server has closed the connection: 1000")
	errTwice  = errors.New("an answer came that nobody waits for: a message was answered twice")
)

// receive takes what comes until the connection has ended.
func (c *conn) receive() {
	defer func() { _ = c.ws.Close() }()
	var message bytes.Buffer
	for {
		_, r, err := c.ws.NextReader()
		if err == nil {
			message.Reset()
			_, err = message.ReadFrom(r)
		}
		if err != nil {
			c.ended(err)
			return
		}
		c.take(message.Bytes())
	}
}

// ended counts a connection that ends too early.
func (c *conn) ended(err error) {
	c.giveUp()
	if c.run.closing.Load() {
		return
	}
	if err = client.Ended(err); err == nil {
		err = errClosed
	}
	c.run.tally.lost.Add(1)
	c.run.tally.fail(inShort(err), err)
}

// take counts a message.
func (c *conn) take(payload []byte) {
	now, t := c.run.now(), c.run.tally
	t.bytesReceived.Add(int64(len(payload)))
	m, found := find(payload, c.run.name)
	switch {
	case !found:
		t.others.Add(1)
	case m.connection != c.i:
		t.delivered.Add(1)
		c.shard.delivery(now - m.began)
	case !c.settle(m.n):
		t.fail(errTwice.Error(), errTwice)
	default:
		t.answered.Add(1)
		t.lastAnswer.Store(int64(now)) // of those at the same moment any
		c.shard.answer(now - m.began)
		c.goOn()
	}
}

// goOn sends the next message if nothing but its turn has it wait.
func (c *conn) goOn() {
	if c.run.rate > 0 {
		return
	}
	select {
	case <-c.run.stop:
	default:
		c.write(c.run.now())
	}
}
