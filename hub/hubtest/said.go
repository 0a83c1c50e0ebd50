package hubtest

import (
	"encoding/json"
	"fmt"
)

// Said is a message of the subprotocol json.
type Said struct {
	Type    string
	Epoch   string
	Version uint64
	Total   json.Number
	N       int
	Error   string
	Code    string
}

// ReadSaid reads a message of the subprotocol json.
func (c *Client) ReadSaid() (s Said, err error) {
	text, err := c.ReadText()
	if err == nil {
		if err = json.Unmarshal([]byte(text), &s); err != nil {
			err = fmt.Errorf("%w in %q", err, text)
		}
	}
	return s, err
}
