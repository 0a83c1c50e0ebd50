package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
)

// Closed is the error of a connection that was closed with another code than 1000.
type Closed struct {
	Code   int // 1005 if the close frame had none
	Reason string
}

// codes has the codes of RFC 6455 and its registry in words.
var codes = map[int]string{
	1001: "going away",
	1002: "protocol error",
	1003: "unsupported data",
	1005: "no code",
	1007: "invalid data",
	1008: "policy violation",
	1009: "message too big",
	1010: "extension missing",
	1011: "internal error",
	1012: "service restart",
	1013: "try again later",
	1014: "bad gateway",
	3000: "unauthorized",
}

// Error tells the code and the reason.
func (c *Closed) Error() string {
	text := "the server has closed the connection: " + strconv.Itoa(c.Code)
	if words := codes[c.Code]; words != "" {
		text += " " + words
	}
	if c.Reason != "" {
		text += ": " + Printable(c.Reason)
	}
	return text
}

// ExitStatus is that of another close code than 1000.
func (*Closed) ExitStatus() int { return 3 }

// Cut is the error of a connection that ended without a close frame.
type Cut struct{ Cause error }

// Error tells the cause.
func (c *Cut) Error() string { return "the connection was cut: " + c.Cause.Error() }

// Unwrap returns the cause.
func (c *Cut) Unwrap() error { return c.Cause }

// ExitStatus is that of a connection that was cut.
func (*Cut) ExitStatus() int { return 4 }

// errEnded is the cause if the other side just ended the stream.
var errEnded = errors.New("the server, or something in between, has ended it without a close frame")

// isProtocolError tells gorilla's own errors, of frames that break a rule, from those
// of the network.
func isProtocolError(err error) bool { return strings.HasPrefix(err.Error(), "websocket: ") }

// Ended tells how a connection has ended by the error of its last read: nil if it was
// closed with 1000, else a *Closed, a *Cut, or an error of its own if this side would
// not go on.
func Ended(err error) error {
	var frame *websocket.CloseError
	switch {
	case errors.Is(err, websocket.ErrReadLimit):
		return errors.New("the server has sent a message that is too big")
	case !errors.As(err, &frame):
		if isProtocolError(err) {
			return fmt.Errorf("the server breaks the protocol: %w", err)
		}
		return &Cut{err}
	case frame.Code == websocket.CloseNormalClosure:
		return nil
	case frame.Code == websocket.CloseAbnormalClosure:
		return &Cut{errEnded}
	default:
		return &Closed{frame.Code, frame.Text}
	}
}
