package decimal_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/options"
	"github.com/caddyws/caddy-websocket/options/decimal"
)

// values are what one block can set.
type values struct {
	One  *decimal.Number  `json:"one,omitempty"`
	List []decimal.Number `json:"list,omitempty"`
}

func parse(block string) (v values, err error) {
	set := options.Set{"one": decimal.Option(&v.One), "list": decimal.List(&v.List)}
	return v, set.App(caddyfile.NewTestDispenser("test {\n" + block + "\n}"))
}

// Every digit comes through, over a Caddyfile and over JSON that Caddy has looked at.
func TestNumbersKeepTheirDigits(t *testing.T) {
	v, err := parse("one 9007199254740993.000000000000000000000000000001\nlist 1 -1e-2 +0.50")
	if err != nil {
		t.Fatal(err)
	}
	p, err := json.Marshal(v)
	if want := `{"one":"9007199254740993.000000000000000000000000000001","list":["1","-0.01","0.5"]}`; err != nil || string(p) != want {
		t.Errorf("got %s, %v, want %s", p, err, want)
	}
	var again values
	if err := json.Unmarshal(p, &again); err != nil || !again.One.Equals(*v.One) || !again.List[2].Equals(v.List[2]) || again.List[0].Equals(v.List[1]) {
		t.Errorf("%s came back as %+v, %v", p, again, err)
	}
	if err := json.Unmarshal([]byte(`{"one":-2.50,"list":["1.0",1]}`), &again); err != nil || again.One.String() != "-2.5" || !again.List[0].Equals(again.List[1]) {
		t.Errorf("read %+v, %v", again, err)
	}
}

func TestWhatIsNoNumber(t *testing.T) {
	for block, want := range map[string]string{
		"one":        `option "one" needs a value`,
		"one six":    `"six": not a number, at Testfile:2`,
		"one 1 2":    `unexpected argument "2" of option "one"`,
		"list":       `option "list" needs at least one value`,
		"list 1 x":   `"x": not a number, at Testfile:2`,
		"list 1e-31": `"1e-31": more than 30 digits after the decimal point`,
		"one 1e60":   `"1e60": total of more than 60 digits before the decimal point`,
	} {
		if _, err := parse(block); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", block, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"one":"six"}`:   `"six": not a number`,
		`{"one":""}`:      `"": not a number`,
		`{"one":true}`:    `"true": not a number`,
		`{"list":[null]}`: `"null": not a number`,
	} {
		if err := json.Unmarshal([]byte(text), new(values)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
