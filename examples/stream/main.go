// Command stream publishes a text token by token, as a program does that has an answer from a
// language model:
//
//	go run . <story.txt
//
// Each token has a number, and is posted under that number until the server has answered. So
// it is published once, in its place, whatever happens to the connections and to the server.
// A URL that has an answer already is refused, unless the program is given a -name: with the same
// name and the same text as before it goes on where it has stopped.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
	"unicode"
)

func main() {
	var p producer
	flag.StringVar(&p.url, "to", "http://localhost:8080/answers/1", "the room: each answer has its own")
	flag.StringVar(&p.name, "name", "", "names the answer if it has to be published again: 1 to 48 of A-Z a-z 0-9 . _ - (default: a new random name)")
	pace := flag.Duration("pace", 40*time.Millisecond, "time between two tokens")
	flag.Parse()
	p.secret = os.Getenv("PRODUCER_TOKEN")
	if p.secret == "" {
		p.secret = "secret" // as in the Caddyfile
	}
	if err := run(&p, os.Stdin, *pace); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run publishes a text: as a new answer, unless it has a name.
func run(p *producer, text io.Reader, pace time.Duration) error {
	if p.name == "" {
		if err := p.begin(); err != nil {
			return err
		}
	}
	return stream(p, text, pace)
}

// stream publishes a text, and that it has ended.
func stream(p *producer, text io.Reader, pace time.Duration) error {
	r := bufio.NewReader(text)
	for {
		token, end := nextToken(r)
		if token != "" {
			if err := p.publish(message{Token: token}); err != nil {
				return err
			}
			time.Sleep(pace)
		}
		switch {
		case errors.Is(end, io.EOF):
			return p.publish(message{Done: true})
		case end != nil:
			return errors.Join(end, p.publish(message{Done: true, Error: "the text has broken off"}))
		}
	}
}

// longest is how many characters a token has at most.
const longest = 6

// nextToken returns the next piece of a text, blanks and the beginning of a word, and an error
// if the text ends behind it.
func nextToken(r *bufio.Reader) (string, error) {
	var token []rune
	for inWord := false; len(token) < longest; {
		c, _, err := r.ReadRune()
		if err != nil {
			return string(token), err
		}
		if inWord && unicode.IsSpace(c) {
			return string(token), r.UnreadRune()
		}
		inWord = !unicode.IsSpace(c)
		token = append(token, c)
	}
	return string(token), nil
}
