package measure

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What can be asked for.
const (
	maxConnections = 100_000
	maxRate        = 10_000_000
	minSize        = 32 // a marker has room
	maxSize        = 16 << 20
	minDuration    = 100 * time.Millisecond
	maxDuration    = 24 * time.Hour
)

// plan is what is to be done.
type plan struct {
	connections int
	rate        float64 // messages a second, of all connections together; 0: each as fast as answers come
	size        int     // bytes of a message, if there is no text
	text        string  // of each message, with placeholder; may be empty
	binary      bool
	duration    time.Duration // how long messages are sent
	wait        time.Duration // how long answers are waited for after that
}

// placeholder stands for the marker in a text.
const placeholder = "{id}"

// check tells everything that is wrong with the plan at once.
func (p plan) check() error {
	var wrong []error
	expect := func(good bool, format string, args ...any) {
		if !good {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	expect(p.connections >= 1 && p.connections <= maxConnections, "--connections %d: expected 1 to %d", p.connections, maxConnections)
	expect(p.rate == 0 || p.rate >= 0.001 && p.rate <= maxRate, "--rate %g: expected 0.001 to %d messages a second, or 0 for as many as are answered", p.rate, maxRate)
	expect(p.size >= minSize && p.size <= maxSize, "--size %d: expected %d to %d bytes", p.size, minSize, maxSize)
	expect(p.duration >= minDuration && p.duration <= maxDuration, "--duration %s: expected %s to %s", p.duration, minDuration, maxDuration)
	expect(p.wait >= 0 && p.wait <= maxDuration, "--wait %s: expected 0s to %s", p.wait, maxDuration)
	expect(len(p.text) <= maxSize, "--message has more than %d bytes", maxSize)
	expect(p.marked() || p.rate > 0, "--message has no %s, so answers cannot be told from other messages: write it where the endpoint repeats it, or give --rate to send without knowing answers", placeholder)
	return errors.Join(wrong...)
}

// marked reports whether messages can be known when they come back.
func (p plan) marked() bool { return p.text == "" || strings.Contains(p.text, placeholder) }

// due is when a message of a connection is to be sent, after the beginning. All
// connections take turns.
func (p plan) due(connection, n int) time.Duration {
	k := float64(connection) + float64(n)*float64(p.connections)
	return time.Duration(k / p.rate * float64(time.Second))
}

// planned is how many messages are due before the end, 0 without a rate.
func (p plan) planned() (n int64) {
	if p.rate == 0 {
		return 0
	}
	for i := range p.connections {
		n += p.plannedOf(i)
	}
	return n
}

// plannedOf is how many messages of one connection are due before the end.
func (p plan) plannedOf(connection int) int64 {
	first := p.due(connection, 0)
	if first >= p.duration {
		return 0
	}
	step := p.due(connection, 1) - first
	if step <= 0 {
		return 0
	}
	n := int64((p.duration-first)/step) + 1
	for n > 0 && p.due(connection, int(n-1)) >= p.duration {
		n--
	}
	return n
}

// payload is a message with a marker.
func (p plan) payload(m marker) []byte {
	if p.text != "" {
		return []byte(strings.ReplaceAll(p.text, placeholder, m.String()))
	}
	payload := make([]byte, p.size)
	for i := copy(payload, m.String()); i < len(payload); i++ {
		payload[i] = '.'
	}
	return payload
}
