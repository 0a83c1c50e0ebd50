package blackbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Text that would like to be something else: a header, another room, a log line.

const namesConfig = `:PORT {
	websocket /sum sum
	websocket /room {
		app sum
		room {query.topic}
	}
}`

// A 101 has the headers that it has, and a subprotocol that the app has, whatever
// a client asks for.
func TestSubprotocolsInjectNothing(t *testing.T) {
	s := start(t, namesConfig)
	usual := s.connect(t).upgrade("/sum", "Sec-WebSocket-Protocol: json").header
	for _, asked := range []string{
		"json\r\nX-Injected: yes", "json\rX-Injected: yes", "json\nX-Injected: yes", "json\x00", "\x00json", "json\x1b[31m", "js\u00f6n",
		"json%0d%0aX-Injected: yes", "json\r\n X-Injected: yes", "json;X-Injected=yes", "\"json\"", "json json", "(json)", "json=", "json/1",
		",,json,,", "json, json", " json\t", "", ",", strings.Repeat("json,", 1000) + "json", strings.Repeat("x", 10000) + ", json",
	} {
		c := s.connect(t)
		c.write(handshake("/sum", "Sec-WebSocket-Protocol: "+asked))
		a, err := c.tryResponse()
		switch {
		case err != nil:
			t.Errorf("%.50q: %v", asked, err)
		case a.status == http.StatusBadRequest:
			continue
		}
		agreed := a.header.Get("Sec-WebSocket-Protocol")
		if a.status != http.StatusSwitchingProtocols || agreed != "json" && agreed != "" {
			t.Errorf("%.50q: %d, %q", asked, a.status, agreed)
		}
		a.header["Sec-Websocket-Protocol"] = nil
		if !slices.Equal(slices.Sorted(maps.Keys(a.header)), slices.Sorted(maps.Keys(usual))) {
			t.Errorf("%.50q: %v", asked, a.header)
		}
	}
}

// forms are the ways into a room.
func (s *server) forms(t *testing.T, path string) map[string]answer {
	t.Helper()
	c := s.connect(t)
	c.write(handshake(path))
	return map[string]answer{
		"WebSocket": c.response(),
		"GET":       s.ask(t, http.MethodGet, path, ""),
		"POST":      s.ask(t, http.MethodPost, path, "1"),
		"events":    s.ask(t, http.MethodHead, path, "", wantsEvents),
	}
}

// A room that a query names has a printable name.
func TestRoomsWithHostileNames(t *testing.T) {
	s := start(t, namesConfig)
	for _, topic := range []string{
		"", "%0d%0aX-Injected:%20yes", "a%0d%0a%0d%0aHTTP/1.1%20200%20OK", "%00", "a%00b", "%1b[31m", "%7f", "%c2%9b31m", "%09",
		"%ff", "%c0%af", "%ed%a0%80", "%e2%82", strings.Repeat("x", 256), strings.Repeat("%c3%a4", 128), strings.Repeat("x", 10000),
	} {
		for form, a := range s.forms(t, "/room?topic="+topic) {
			if a.status != http.StatusBadRequest || a.header.Get("X-Injected") != "" || a.body != "" {
				t.Errorf("%s of %.50q: %+v", form, topic, a)
			}
		}
	}
}

// A name is a name: it is not read once more, for placeholders or as a path.
func TestRoomNamesAreNotExpanded(t *testing.T) {
	s := start(t, namesConfig)
	for _, name := range []string{
		"{env.HOME}", "{http.request.host}", "{query.other}", "\\{query.other}", "{", "..", "../sum", "//" + s.address() + "/sum", "=other",
		"%0d%0a", "\u202eother", " other ", "other", strings.Repeat("x", 255), strings.Repeat("\u00e4", 127),
	} {
		path := "/room?other=other&topic=" + url.QueryEscape(name)
		s.post(t, path, "1", "1")
	}
	s.shows(t, "/sum", "0")
	s.shows(t, "/room?topic=other", "1")
}

// What a client chooses is in the log, and each line stays one, whatever that is.
func TestHostileWordsInLogs(t *testing.T) {
	for _, format := range []string{"json", "console {\n level_format upper\n }"} {
		t.Run(format[:4], func(t *testing.T) {
			s := start(t, "GLOBAL\n log {\n format "+format+"\n }\n END\n"+`:PORT {
				log {
					format `+format+`
				}
				basic_auth {
					"ann" $2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm
				}
				websocket {
					app broadcast "{user}: {message}"
					room {query.topic}
				}
			}`)
			for _, words := range []string{
				"\n{\"level\":\"forged\"}\n", "\r\n2026/01/01 00:00:00.000\tERROR\tforged", "\x1b[31mforged\x1b[0m", "\x1b]0;forged\a", "\b\b\bforged",
				"\x7f\x7fforged", "\u009b31mforged", "\u0085forged", "\x00forged", "\"},{\"level\":\"forged\"", "\u2028forged",
			} {
				s.leaveWith(t, words)
			}
			s.checkLines(t, format == "json")
		})
	}
}

// leaveWith says words wherever the log may repeat them, and leaves with them.
func (s *server) leaveWith(t *testing.T, words string) {
	t.Helper()
	known, query := basicAuth("ann", "secret"), url.QueryEscape(words)
	for _, path := range []string{"/" + url.PathEscape(words), "/?topic=" + query} {
		c := s.connect(t)
		c.write(handshake(path, known, "X-Forwarded-For: "+query, "Sec-WebSocket-Protocol: "+query))
		c.response()
	}
	printable := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '.'
		}
		return r
	}, words)
	c := s.connect(t)
	c.upgrade("/?topic="+url.QueryEscape(printable), known)
	before := s.log.count("connection ended")
	c.write(text(words) + closing(4000, words))
	c.expectText("ann: " + words)
	c.expectClose(4000)
	s.log.waitAll(t, before+1, "connection ended")
}

// checkLines looks for lines that are not what Caddy writes. (What is printed
// before the configuration is read is JSON always.)
func (s *server) checkLines(t *testing.T, isJSON bool) {
	t.Helper()
	for line := range strings.Lines(s.log.String()) {
		line, whole := strings.CutSuffix(line, "\n")
		if !whole { // the rest is still to come
			break
		}
		bad := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) })
		if bad >= 0 {
			t.Errorf("a control character in %q", line)
		}
		var entry struct{ Level string }
		err := json.Unmarshal([]byte(line), &entry)
		if isJSON && err != nil || entry.Level == "forged" || strings.HasPrefix(line, "2026/01/01") {
			t.Errorf("forged: %q, %v", line, err)
		}
	}
}
