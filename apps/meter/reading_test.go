package meter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyws/caddy-websocket/aggregate"
)

func mustFields(t testing.TB, value, key string) *fields {
	t.Helper()
	f, err := newFields(value, key)
	if err != nil {
		t.Fatal(err)
	}
	return &f
}

// told is a reading or an error in words: "key number", and "- number" without a
// key.
func told(r reading, err error) string {
	switch {
	case err != nil:
		return "error: " + err.Error()
	case r.key == nil:
		return "- " + r.number.String()
	}
	return string(r.key) + " " + r.number.String()
}

const aKey = `error: field "key": a key has 1 to 64 characters of A-Z, a-z, 0-9 and . _ : -`

func TestReadings(t *testing.T) {
	f := mustFields(t, "value", "key")
	for _, c := range []struct{ message, want string }{
		// a bare number
		{"812.5", "- 812.5"},
		{" -1e3\n", "- -1000"},
		{"", "error: not a number"},
		{"  ", "error: not a number"},
		{"x", "error: not a number"},
		{`"5"`, "error: not a number"},
		{`[5]`, "error: not a number"},
		{"null", "error: not a number"},
		{"1" + strings.Repeat("0", 30), "error: more than 30 digits before the decimal point"},
		{strings.Repeat("1", 129), "error: longer than 128 bytes"},

		// an object
		{`{"value":812.5,"key":"press-4"}`, "press-4 812.5"},
		{"\r\n\t { \"key\" : \"press-4\" , \"value\" : 812.5 } \r\n\t", "press-4 812.5"},
		{`{"value":5}`, "- 5"},
		{`{"value":-0.50e1,"key":null}`, "- -5"},
		{`{"value":"812.50","key":"a"}`, "a 812.5"},
		{`{"value":" +.5e1 ","key":"a"}`, "a 5"},
		{`{"value":"8\u00312\u002e5","key":"pre\u0073s\u002D4"}`, "press-4 812.5"},
		{`{"v\u0061lue":1,"\u006bey":"a"}`, "a 1"},
		{`{"value":0.1000000000000000055511151231257827,"key":"a"}`, "error: field \"value\": more than 30 digits after the decimal point"},
		{`{"value":123456789012345678901234567890.5}`, "- 123456789012345678901234567890.5"},
		{`{"value":5,"key":4}`, "4 5"},
		{`{"value":5,"key":4.50}`, "4.50 5"},
		{`{"value":5,"key":-1E-1}`, "-1E-1 5"},
		{`{"value":5,"key":1e+1}`, aKey},
		{`{"value":5,"key":"azAZ09._:-"}`, "azAZ09._:- 5"},
		{`{"value":5,"key":"` + strings.Repeat("k", 64) + `"}`, strings.Repeat("k", 64) + " 5"},
		{`{"value":5,"key":"` + strings.Repeat(`\u006b`, 64) + `"}`, strings.Repeat("k", 64) + " 5"},

		// no number
		{`{}`, `error: no field "value"`},
		{`{ }`, `error: no field "value"`},
		{`{"Value":5,"key":"a"}`, `error: no field "value"`},
		{`{"x":{"value":5}}`, `error: no field "value"`},
		{`{"x":[{"value":5}]}`, `error: no field "value"`},
		{`{"value":null}`, `error: field "value": not a number`},
		{`{"value":true}`, `error: field "value": not a number`},
		{`{"value":[5]}`, `error: field "value": not a number`},
		{`{"value":{"value":5}}`, `error: field "value": not a number`},
		{`{"value":""}`, `error: field "value": not a number`},
		{`{"value":"five"}`, `error: field "value": not a number`},
		{`{"value":"\ud83d\ude00"}`, `error: field "value": not a number`},
		{`{"value":1e999999999}`, `error: field "value": more than 30 digits before the decimal point`},
		{`{"value":` + strings.Repeat("1", 129) + `}`, `error: field "value": longer than 128 bytes`},
		{`{"value":"` + strings.Repeat(`\u0031`, 129) + `"}`, `error: field "value": longer than 128 bytes`},
		{`{"value":"` + strings.Repeat(`\u0020`, 127) + `5"}`, `- 5`},

		// no key
		{`{"value":5,"key":""}`, aKey},
		{`{"value":5,"key":" a"}`, aKey},
		{`{"value":5,"key":"a/b"}`, aKey},
		{`{"value":5,"key":"ä"}`, aKey},
		{`{"value":5,"key":"\u00e4"}`, aKey},
		{`{"value":5,"key":"a\nb"}`, aKey},
		{`{"value":5,"key":true}`, aKey},
		{`{"value":5,"key":["a"]}`, aKey},
		{`{"value":5,"key":{}}`, aKey},
		{`{"value":5,"key":"` + strings.Repeat("k", 65) + `"}`, aKey},
		{`{"value":5,"key":"` + strings.Repeat(`\u006b`, 65) + `"}`, aKey},

		// twice
		{`{"value":5,"value":5}`, `error: field "value" is there twice`},
		{`{"value":5,"v\u0061lue":6}`, `error: field "v\u0061lue" is there twice`},
		{`{"key":"a","value":5,"key":"b"}`, `error: field "key" is there twice`},
		{`{"x":1,"value":5,"x":2}`, "- 5"},
		{`{"value":5,"x":{"value":6}}`, "- 5"},

		// not JSON
		{`{`, "error: JSON that ends too early"},
		{`{"value":5`, "error: JSON that ends too early"},
		{`{"value":5,`, "error: JSON that ends too early"},
		{`{"value":5,}`, "error: not JSON from byte 12 on"},
		{`{"value":5} x`, "error: not JSON from byte 13 on"},
		{`{"value":5}{`, "error: not JSON from byte 12 on"},
		{`{,"value":5}`, "error: not JSON from byte 2 on"},
		{`{"value" 5}`, "error: not JSON from byte 10 on"},
		{`{value:5}`, "error: not JSON from byte 2 on"},
		{`{'value':5}`, "error: not JSON from byte 2 on"},
		{`{"value":5 "key":"a"}`, "error: not JSON from byte 12 on"},
		{`{"value":+5}`, "error: not JSON from byte 10 on"},
		{`{"value":.5}`, "error: not JSON from byte 10 on"},
		{`{"value":05}`, "error: not JSON from byte 11 on"},
		{`{"value":5.}`, "error: not JSON from byte 12 on"},
		{`{"value":NaN}`, "error: not JSON from byte 10 on"},
		{"{\"value\":5,\"x\":\"\x1f\"}", "error: not JSON from byte 17 on"},
		{"{\"value\":5\x00}", "error: not JSON from byte 11 on"},
	} {
		if got := told(f.read([]byte(c.message))); got != c.want {
			t.Errorf("%.200s\n got %s\nwant %s", c.message, got, c.want)
		}
	}
}

func TestNestedFields(t *testing.T) {
	for _, c := range []struct{ value, key, message, want string }{
		{"power", "id", `{"power":230,"id":"a"}`, "a 230"},
		{"a.b.c", "a.b.d", `{"a":{"b":{"c":5,"d":"x"}}}`, "x 5"},
		{"a.b.c", "a.b.d", `{"x":{"a":1},"a":{"x":[{"b":2}],"b":{"x":3,"d":"x","c":5}},"y":{}}`, "x 5"},
		{"a.b", "c.d", `{"c":{"d":"x"},"a":{"b":5}}`, "x 5"},
		{"a.b", "b", `{"b":"x","a":{"a":6,"b":5}}`, "x 5"},
		{"a.b", "key", `{"a":{"x":{"b":5}}}`, `error: no field "a.b"`},
		{"a.b", "key", `{"a":5}`, `error: no field "a.b"`},
		{"a.b", "key", `{"a":[{"b":5}]}`, `error: no field "a.b"`},
		{"a.b", "key", `{"a":{}}`, `error: no field "a.b"`},
		{"a.b", "key", `{"a":null}`, `error: no field "a.b"`},
		{"a.b", "key", `{"a.b":5}`, `error: no field "a.b"`},
		{"a.b", "key", `{"a":{"b":"x"}}`, `error: field "a.b": not a number`},
		{"value", "a.b", `{"value":1,"a":{"b":"?"}}`, strings.Replace(aKey, `"key"`, `"a.b"`, 1)},
		{"value", "a.b", `{"value":1,"a":"x"}`, "- 1"},
		{"a.b", "a.c", `{"a":{"b":5},"a":{"c":"x"}}`, `error: field "a" is there twice`},
		{"a.b", "a.c", `{"a":{"b":5,"b":5}}`, `error: field "b" is there twice`},
		{"a.b", "a.c", `{"a":{"b":5,"c":"x","c":"x"}}`, `error: field "c" is there twice`},
		{"a.b", "x", `{"a":1,"a":{"b":5}}`, `error: field "a" is there twice`},
		{"a.a", "x", `{"a":{"a":5}}`, "- 5"},
		{"ä.ö", "ü", `{"\u00e4":{"\u00F6":5},"ü":"k"}`, "k 5"},
		{"😀", "key", `{"\ud83d\ude00":5}`, "- 5"},
		{"\ufffd", "key", `{"\ud83d":5}`, "- 5"},
		{"\ufffdx", "key", `{"\ud83dx":5}`, "- 5"},
		{"\ufffd\ufffd", "key", `{"\ude00\ud83d":5}`, "- 5"},
		{"\ufffda", "key", `{"\ud83d\u0061":5}`, "- 5"},
		{"\ufffd\n", "key", `{"\ud83d\n":5}`, "- 5"},
		{"\"\\/\b\f\n\r\t", "key", `{"\"\\\/\b\f\n\r\t":5}`, "- 5"},
		{strings.Repeat("n", 255), "key", `{"` + strings.Repeat(`\u006e`, 255) + `":5}`, "- 5"},
		{strings.Repeat("n", 255), "key", `{"` + strings.Repeat(`\u006e`, 256) + `":5}`, `error: no field "` + strings.Repeat("n", 255) + `"`},
		{"1.2.3.4.5.6.7.8", "key", `{"1":{"2":{"3":{"4":{"5":{"6":{"7":{"8":9}}}}}}}}`, "- 9"},
	} {
		if got := told(mustFields(t, c.value, c.key).read([]byte(c.message))); got != c.want {
			t.Errorf("%s, %s in %s\n got %s\nwant %s", c.value, c.key, c.message, got, c.want)
		}
	}
}

func TestFieldsThatCannotBe(t *testing.T) {
	for _, c := range []struct{ value, key, want string }{
		{"", "key", `field "" has an empty name`},
		{"a.", "key", `field "a." has an empty name`},
		{".a", "key", `field ".a" has an empty name`},
		{"a..b", "key", `field "a..b" has an empty name`},
		{"value", "", `field "" has an empty name`},
		{"", ".", "field \"\" has an empty name\nfield \".\" has an empty name"},
		{"\xff", "key", `field "\xff" is not UTF-8`},
		{strings.Repeat("n", 256), "key", "field of 256 bytes, expected at most 255"},
		{"1.2.3.4.5.6.7.8.9", "key", `field "1.2.3.4.5.6.7.8.9" has 9 names, expected at most 8`},
		{"a", "a", `fields "a" and "a" are the same, or one is in the other`},
		{"a", "a.b", `fields "a" and "a.b" are the same, or one is in the other`},
		{"a.b", "a", `fields "a.b" and "a" are the same, or one is in the other`},
	} {
		if _, err := newFields(c.value, c.key); err == nil || err.Error() != c.want {
			t.Errorf("%q, %q: got %v, want %s", c.value, c.key, err, c.want)
		}
	}
	for value, key := range map[string]string{"a.b": "a.c", "ab": "a", "a.b.c": "a.b.d", strings.Repeat("n", 255): "n"} {
		mustFields(t, value, key)
	}
}

// What is ignored has to be JSON all the same: every kind of it, valid and not.
func TestWhatIsIgnoredIsChecked(t *testing.T) {
	f := mustFields(t, "value", "key")
	for _, ignored := range []string{
		`0`, `-0`, `10`, `1.5`, `1e5`, `1E+5`, `1.25e-7`, `-1`, `"x"`, `""`, `"\""`, `"\\"`, `"\u12aF"`, `"\/\b\f\n\r\t"`, "\"\x7f\xff\"",
		`true`, `false`, `null`, `[]`, `{}`, `[ ]`, `{ }`, `[1]`, `[1,2]`, `[[],{}]`, `{"a":1}`, `{"a":1,"b":[2]}`, `{"a":{"a":[{}]}}`, ` [ 1 , { "a" : "b" , "c" : [ ] } ] `,
		`00`, `01`, `-`, `--1`, `1.`, `.1`, `1e`, `1e+`, `1.e1`, `+1`, `0x1`, `1 2`, `"`, `"x`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\u 123"`, "\"\\u\x10123\"", `"\u"`, "\"\n\"", "\"\x00\"",
		`tru`, `trux`, `True`, `fals`, `nul`, `nulll`, `[`, `]`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[1}`, `{`, `}`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`,
		`{"a":1]`, `{1:1}`, `{a:1}`, `{"a":1 "b":2}`, `{"a"::1}`, `{:1}`, `[[]`, `[]]`, `{}}`, `{{}}`, `,`, `:`, ``,
	} {
		for _, message := range []string{`{"x":` + ignored + `,"value":5,"key":"a"}`, `{"value":5,"x":` + ignored + `}`, `{"value":5,"key":"a"}` + ignored} {
			_, err := f.read([]byte(message))
			if valid := json.Valid([]byte(message)); (err == nil) != valid {
				t.Errorf("%s: %v, valid JSON: %t", message, err, valid)
			}
		}
	}
}

func TestDepth(t *testing.T) {
	f := mustFields(t, "a.value", "key")
	for open, closing := range map[string]string{"[": "]", `{"a":`: "}", `[{"a":`: "}]"} {
		each := len(closing)
		for depth := 9990; depth <= 10010; depth += each {
			message := `{"a":{"x":` + strings.Repeat(open, depth/each) + "0" + strings.Repeat(closing, depth/each) + `,"value":5}}`
			r, err := f.read([]byte(message))
			if valid := json.Valid([]byte(message)); valid && err != nil || !valid && !errors.Is(err, errDepth) {
				t.Fatalf("%s %d deep: %v, valid: %t", open, depth, err, valid)
			}
			if err == nil && r.number.String() != "5" {
				t.Fatalf("%s %d deep: %s", open, depth, r.number)
			}
		}
	}
}

// The key is part of the message unless it is escaped; the number is not.
func TestNumbersAreNotKept(t *testing.T) {
	f := mustFields(t, "value", "key")
	message := []byte(`{"value":"123456789012345678901234567890.5","key":"\u0061b"}`)
	r, err := f.read(message)
	if err != nil {
		t.Fatal(err)
	}
	clear(message)
	if got := told(r, nil); got != "ab 123456789012345678901234567890.5" {
		t.Errorf("it became %s", got)
	}
}

func TestOrdinaryMessagesAllocateNothing(t *testing.T) {
	f := mustFields(t, "data.value", "key")
	for _, message := range []string{
		"812.5", `{"data":{"value":812.5},"key":"press-4"}`, `{"data":{"value":"812.5"},"key":"press-4","unit":"W","tags":["a",{"b":null}]}`,
		`{"\u0064ata":{"value":812.5},"key":"press-4"}`,
	} {
		p := []byte(message)
		read := func() {
			if _, err := f.read(p); err != nil {
				t.Fatal(err)
			}
		}
		if got := testing.AllocsPerRun(100, read); got > 0 {
			t.Errorf("%s: %v allocations", message, got)
		}
	}
}

// Reading is the same for a deep message as for a flat one, but for a byte for each
// level that is open at the same time.
func TestDeepMessagesTakeLittleMemory(t *testing.T) {
	f, p := mustFields(t, "value", "key"), deepMessage()
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.read(p); err != nil {
				b.Fatal(err)
			}
		}
	})
	if got := result.AllocedBytesPerOp(); got > int64(len(p)) {
		t.Errorf("%d bytes for a message of %d", got, len(p))
	}
	if got := result.AllocsPerOp(); got > 16 { // the list of what is open grows by doubling
		t.Errorf("%d allocations", got)
	}
}

// deepMessage has 64 KiB and is 9,999 deep.
func deepMessage() []byte {
	const levels = 9998
	head, tail := `{"value":812.5,"x":`+strings.Repeat("[", levels), strings.Repeat("]", levels)+`,"key":"press-4"}`
	return []byte(head + strings.Repeat(" ", 64<<10-len(head)-len(tail)) + tail)
}

// FuzzRead holds that a message is judged and read as encoding/json has it.
func FuzzRead(f *testing.F) {
	for _, message := range []string{
		"812.5", `{"value":812.5,"key":"press-4"}`, `{"a":{"b":{"c":"5"}},"a.b":[{}],"k\u0065y":"\ud83d\ude00"}`,
		`{"value":1,"value":2}`, `{"x":[[[{"y":"\\"}]]],"value":-1.5e-3}`, "{\"value\":\"\xff\"}",
	} {
		f.Add([]byte(message), "value", "key")
		f.Add([]byte(message), "a.b.c", "a.key")
	}
	f.Fuzz(func(t *testing.T, message []byte, value, key string) {
		fields, err := newFields(value, key)
		if err != nil || strings.ContainsRune(value+key, '\ufffd') { // what encoding/json makes of bad UTF-8
			return
		}
		before := bytes.Clone(message)
		got, gotErr := fields.read(message)
		want, wantErr := twinRead(message, value, key)
		if (gotErr == nil) != (wantErr == nil) || gotErr == nil && told(got, nil) != told(want, nil) {
			t.Fatalf("%q: %s, want %s", message, told(got, gotErr), told(want, wantErr))
		}
		if !bytes.Equal(message, before) {
			t.Fatalf("%q became %q", before, message)
		}
	})
}

// twinRead reads a message with encoding/json.
func twinRead(message []byte, value, key string) (r reading, err error) {
	if !bytes.HasPrefix(bytes.TrimLeft(message, " \t\r\n"), []byte("{")) {
		r.number, err = aggregate.ParseNumber(message)
		return r, err
	}
	if !json.Valid(message) {
		return r, errors.New("not JSON")
	}
	number, err := twinField(message, strings.Split(value, "."))
	if err != nil {
		return r, err
	}
	name, err := twinField(message, strings.Split(key, "."))
	if err != nil {
		return r, err
	}
	if r.number, err = aggregate.ParseNumber([]byte(twinText(number))); err != nil {
		return r, err
	}
	if name == nil || string(name) == "null" {
		return r, nil
	}
	r.key = []byte(twinText(name))
	if len(r.key) < 1 || len(r.key) > 64 || strings.Trim(string(r.key), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") != "" {
		return r, errors.New("key")
	}
	return r, nil
}

// twinField returns the field of an object, or nil if there is none.
func twinField(object json.RawMessage, path []string) (found json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if brace, err := d.Token(); err != nil || brace != json.Delim('{') {
		return nil, err
	}
	seen := false
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var member json.RawMessage
		if err := d.Decode(&member); err != nil {
			return nil, err
		}
		if name != path[0] {
			continue
		}
		if seen {
			return nil, fmt.Errorf("%s twice", name)
		}
		if seen, found = true, member; len(path) > 1 {
			if found, err = twinField(member, path[1:]); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// twinText returns what a string says, or a number as it is written.
func twinText(value json.RawMessage) (text string) {
	if len(value) > 0 && value[0] == '"' {
		if err := json.Unmarshal(value, &text); err != nil {
			return "?"
		}
		return text
	}
	if len(value) > 0 && strings.IndexByte("-0123456789", value[0]) >= 0 {
		return string(value)
	}
	return "?"
}

func BenchmarkRead(b *testing.B) {
	wide := []byte(`{"value":812.5,"x":[` + strings.Repeat(`{"a":"b","c":[1,2]},`, 3000) + `0],"key":"press-4"}`)
	long := []byte(`{"value":812.5,"x":"` + strings.Repeat("x", 64<<10-50) + `","key":"press-4"}`)
	for _, c := range []struct {
		name    string
		message []byte
	}{
		{"number", []byte("812.5")},
		{"object", []byte(`{"value":812.5,"key":"press-4"}`)},
		{"more fields", []byte(`{"time":"2026-03-01T12:00:00Z","value":"812.5","key":"press-4","unit":"W","tags":["hall 3",{"line":2}]}`)},
		{"deep", deepMessage()},
		{"wide", wide},
		{"long", long},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := mustFields(b, "value", "key")
			b.SetBytes(int64(len(c.message)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.read(c.message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
