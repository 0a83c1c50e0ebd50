package caddyws

import (
	"net/http"
	"testing"
)

// What clients send, and what RFC 9110, section 12.5.1, makes of it. A route with all
// forms, whose first is text.
func TestAccept(t *testing.T) {
	const refused = mediaType("")
	for _, test := range []struct {
		name   string
		accept []string // lines
		want   mediaType
	}{
		{"none", nil, typeText},
		{"empty", []string{""}, typeText},
		{"two empty lines", []string{"", " "}, typeText},
		{"curl", []string{"*/*"}, typeText},
		{"Firefox", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, typePage},
		{"Chrome", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"}, typePage},
		{"EventSource", []string{"text/event-stream"}, typeEvents},
		{"axios", []string{"application/json, text/plain, */*"}, typeJSON},
		{"jQuery", []string{"application/json, text/javascript, */*; q=0.01"}, typeJSON},
		{"Java", []string{"image/gif, image/jpeg, *; q=.2, */*; q=.2"}, typeText},

		{"charset", []string{"text/plain; charset=utf-8"}, typeText},
		{"charset of JSON", []string{"application/json; charset=utf-8"}, typeJSON},
		{"charset in quotes", []string{`application/json;charset="UTF-8"`}, typeJSON},
		{"another charset", []string{"text/plain; charset=iso-8859-1"}, typeText},
		{"some parameter", []string{"application/json;odata=verbose"}, typeJSON},
		{"some parameter and a weight", []string{"application/json;v=1;q=0.9, text/plain;q=0.5"}, typeJSON},
		{"comma in quotes", []string{`application/json;v="1,2, text/plain"`}, typeJSON},
		{"escaped quote", []string{`application/json;v="\",", text/plain;q=0.5`}, typeJSON},
		{"a variant ruled out", []string{"text/plain;format=flowed;q=0, text/plain"}, typeText},
		{"a variant ruled out, anything else", []string{"text/plain;charset=utf-16;q=0, */*"}, typeText},

		{"names in capitals", []string{"Application/JSON"}, typeJSON},
		{"several lines", []string{"image/png", "application/json"}, typeJSON},
		{"several lines with weights", []string{"text/plain;q=0.5, image/png", "", "application/json;q=0.7"}, typeJSON},
		{"an empty line among them", []string{"", "application/json"}, typeJSON},
		{"empty elements", []string{", ,application/json,,"}, typeJSON},

		{"the greater weight", []string{"text/plain;q=0.5, application/json"}, typeJSON},
		{"the greater weight first", []string{"text/plain;q=0.9, application/json;q=0.899"}, typeText},
		{"weight in capitals", []string{"text/plain;Q=0.5, application/json;Q=0.6"}, typeJSON},
		{"blanks", []string{"text/plain ; q=0.5 ,\tapplication/json ; q=0.6"}, typeJSON},
		{"a tie goes to the first", []string{"application/json, text/plain"}, typeJSON},
		{"a tie goes to the first, the other way", []string{"text/plain, application/json"}, typeText},
		{"a tie of weights", []string{"application/json;q=0.5, text/plain;q=0.500"}, typeJSON},
		{"a tie of ranges", []string{"application/*, text/*"}, typeJSON},
		{"a tie within a range", []string{"text/*"}, typeText},
		{"extension behind the weight", []string{"application/json;q=1;level=3"}, typeJSON},

		{"the most precise counts", []string{"text/*;q=0.3, text/plain;q=0.1, application/json;q=0.2"}, typeEvents},
		{"precise beats general", []string{"*/*;q=0.9, text/plain;q=0.1, text/*;q=0.2, application/json;q=0.3"}, typeJSON},
		{"the first ruled out", []string{"text/plain;q=0, */*"}, typeJSON},
		{"a group ruled out", []string{"*/*, text/*;q=0"}, typeJSON},
		{"all but one ruled out", []string{"*/*;q=0, text/event-stream"}, typeEvents},
		{"named twice", []string{"application/json;q=0.2, text/plain;q=0.5, application/json"}, typeJSON},

		{"what there is not", []string{"image/png"}, refused},
		{"what there is not, on two lines", []string{"image/png", "image/*"}, refused},
		{"all ruled out", []string{"*/*;q=0"}, refused},
		{"all ruled out with many digits", []string{"*/*;q=0.000"}, refused},
		{"one ruled out", []string{"application/json;q=0"}, refused},
		{"a part of a name", []string{"text/plainer, text/plai, tex/*, plain"}, refused},
		{"a bad group", []string{"*/plain"}, refused},

		{"not to be read", []string{"{}[]"}, typeText},
		{"a bad weight", []string{"application/json;q=high"}, typeText},
		{"a weight of two", []string{"application/json;q=2"}, typeText},
		{"a negative weight", []string{"application/json;q=-1"}, typeText},
		{"a bad element beside a good one", []string{"{}, application/json;q=1e3, application/json;q=0.1"}, typeJSON},
		{"quotes without an end", []string{`text/plain;v="1, application/json`}, typeText},
	} {
		r := &http.Request{Header: http.Header{}}
		if test.accept != nil {
			r.Header["Accept"] = test.accept
		}
		got, err := accepted(r, typeText, typeJSON, typeEvents, typePage)
		if got != test.want || (err != nil) != (test.want == refused) {
			t.Errorf("%s: %q is answered with %q, %v; want %q", test.name, test.accept, got, err, test.want)
		}
	}
}
