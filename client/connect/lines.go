package connect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// message is one to be sent, or one that came.
type message struct {
	kind    int // websocket.TextMessage or websocket.BinaryMessage
	payload []byte
}

// source has what is to be sent. Its only caller is the session.
type source interface {
	// next waits for the next message. io.EOF means that there are no more.
	next() (message, error)
}

// lines is a source that reads a pipe: each line is a text, without its line end.
type lines struct {
	r     *bufio.Reader
	limit int
	n     int // the number of the line
}

func newLines(r io.Reader, limit int) *lines {
	return &lines{r: bufio.NewReader(r), limit: limit}
}

// next returns the next line. The last one need not have a line end.
func (l *lines) next() (message, error) {
	line, err := l.read()
	if err != nil && (err != io.EOF || len(line) == 0) {
		return message{}, err
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if l.n++; !utf8.Valid(line) {
		return message{}, fmt.Errorf("line %d of the input is not UTF-8, which a text message must be; use --binary to send all of the input as one binary message", l.n)
	}
	return message{websocket.TextMessage, line}, nil
}

// read returns a line with its end. It takes no more into memory than may be sent.
func (l *lines) read() (line []byte, err error) {
	for {
		part, err := l.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(bytes.TrimRight(line, "\r\n")) > l.limit:
			return nil, fmt.Errorf("line %d of the input has more than %d bytes (--max-message-size)", l.n+1, l.limit)
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		}
	}
}

// whole is a source that has one binary message: all that there is to read.
type whole struct {
	r     io.Reader
	limit int
	read  bool
}

// next returns all of the input the first time.
func (w *whole) next() (message, error) {
	if w.read {
		return message{}, io.EOF
	}
	w.read = true
	payload, err := io.ReadAll(io.LimitReader(w.r, int64(w.limit)+1))
	if err != nil {
		return message{}, err
	}
	if len(payload) > w.limit {
		return message{}, fmt.Errorf("the input has more than %d bytes (--max-message-size)", w.limit)
	}
	return message{websocket.BinaryMessage, payload}, nil
}
