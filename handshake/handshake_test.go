package handshake

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/caddyws/caddy-websocket/frames"
)

// The example of RFC 6455, section 1.3, as a request and as net/http's answer.
var (
	upgradeLines = []string{
		"GET /chat HTTP/1.1",
		"Host: server.example.com",
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Version: 13",
	}
	upgradeAnswer = "HTTP/1.1 101 Switching Protocols\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Upgrade: websocket\r\n\r\n"
	upgradeDate = regexp.MustCompile("Date: [^\r]*\r\n")
)

// upgradeRequest is the RFC's example, with the line that begins with name
// replaced by others; lines without a name are put behind the others.
func upgradeRequest(name string, lines ...string) string {
	request := slices.Clone(upgradeLines)
	i := slices.IndexFunc(request, func(line string) bool { return name != "" && strings.HasPrefix(line, name) })
	if i < 0 {
		request = append(request, lines...)
	} else {
		request = slices.Replace(request, i, i+1, lines...)
	}
	return strings.Join(request, "\r\n") + "\r\n\r\n"
}

// upgradeServer is net/http's server with a handler that upgrades every request.
type upgradeServer struct {
	*httptest.Server
	upgraded chan *Upgraded // one for each 101; closed by the test's end
	failed   chan error     // one for each refusal or failure
}

// newUpgradeServer starts a server; wrap, which may be nil, is the handlers around.
func newUpgradeServer(t *testing.T, o Offer, wrap func(http.Handler) http.Handler) *upgradeServer {
	s := unstartedUpgradeServer(t, o, wrap)
	s.Start()
	return s
}

func unstartedUpgradeServer(t *testing.T, o Offer, wrap func(http.Handler) http.Handler) *upgradeServer {
	s := &upgradeServer{upgraded: make(chan *Upgraded, 100), failed: make(chan error, 100)}
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, o)
	})
	if wrap != nil {
		handler = wrap(handler)
	}
	s.Server = httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of what the tests provoke
	t.Cleanup(s.Close)
	return s
}

// serve does what Upgrade asks of its caller.
func (s *upgradeServer) serve(w http.ResponseWriter, r *http.Request, o Offer) {
	u, err := Upgrade(w, r, o)
	if err == nil {
		s.upgraded <- u
		return
	}
	if refusal, ok := errors.AsType[*Error](err); ok {
		maps.Copy(w.Header(), refusal.Header)
		http.Error(w, err.Error(), refusal.Status)
	}
	s.failed <- err
}

// dial opens a connection that the end of the test closes.
func (s *upgradeServer) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// head sends a request over a connection of its own and returns the answer up to
// its empty line, without the Date, which no test can know.
func (s *upgradeServer) head(t *testing.T, request string) string {
	t.Helper()
	conn := s.dial(t)
	upgradeSend(t, conn, request)
	return upgradeHead(t, bufio.NewReader(conn))
}

// next returns the connection of the last 101.
func (s *upgradeServer) next(t *testing.T) *Upgraded {
	t.Helper()
	select {
	case u := <-s.upgraded:
		t.Cleanup(func() { u.Conn.Close() })
		return u
	case err := <-s.failed:
		t.Fatal("not upgraded:", err)
	case <-time.After(time.Minute):
		t.Fatal("not upgraded")
	}
	return nil
}

// refusal returns why the last request was not upgraded.
func (s *upgradeServer) refusal(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.failed:
		return err
	case u := <-s.upgraded:
		u.Conn.Close()
		t.Fatal("upgraded")
	case <-time.After(time.Minute):
		t.Fatal("neither upgraded nor refused")
	}
	return nil
}

func upgradeSend(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func upgradeHead(t *testing.T, reader *bufio.Reader) string {
	t.Helper()
	var head strings.Builder
	for {
		line, err := reader.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			t.Fatalf("%v after %q", err, head.String())
		}
		if line == "\r\n" {
			return upgradeDate.ReplaceAllString(head.String(), "")
		}
	}
}

func TestUpgradeAcceptsGoodHandshakes(t *testing.T) {
	requests := map[string]string{
		"the RFC's example":          upgradeRequest(""),
		"upper case protocol":        upgradeRequest("Upgrade", "Upgrade: WEBSOCKET"),
		"mixed case token":           upgradeRequest("Connection", "Connection: uPGRADE"),
		"lower case names":           upgradeRequest("Connection", "connection: upgrade"),
		"several connection tokens":  upgradeRequest("Connection", "Connection: keep-alive, Upgrade"),
		"no blanks in the list":      upgradeRequest("Connection", "Connection: keep-alive,Upgrade,foo"),
		"empty list elements":        upgradeRequest("Connection", "Connection: ,, \tUpgrade ,"),
		"connection on two lines":    upgradeRequest("Connection", "Connection: keep-alive", "Connection: Upgrade"),
		"the client wants a close":   upgradeRequest("Connection", "Connection: close, Upgrade"),
		"several protocols":          upgradeRequest("Upgrade", "Upgrade: foo/2, websocket"),
		"protocols on two lines":     upgradeRequest("Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
		"empty body":                 upgradeRequest("", "Content-Length: 0"),
		"other headers":              upgradeRequest("", "Origin: null", "Cookie: a=b", "Expect: 100-continue"),
		"unknown extension":          upgradeRequest("", "Sec-WebSocket-Extensions: x-webkit-deflate-frame"),
		"compression not offered":    upgradeRequest("", "Sec-WebSocket-Extensions: permessage-deflate"),
		"subprotocol not offered":    upgradeRequest("", "Sec-WebSocket-Protocol: json"),
		"empty subprotocol":          upgradeRequest("", "Sec-WebSocket-Protocol: "),
		"malformed extensions":       upgradeRequest("", `Sec-WebSocket-Extensions: ;=",,\`),
		"blanks around the key":      upgradeRequest("Sec-WebSocket-Key", "Sec-WebSocket-Key: \t dGhlIHNhbXBsZSBub25jZQ== "),
		"blanks around the version":  upgradeRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version:13 \t"),
		"absolute form of the URL":   upgradeRequest("GET", "GET http://server.example.com/chat HTTP/1.1"),
		"headers in any other order": upgradeRequest("Upgrade", "Accept: */*", "Upgrade: websocket", "Accept-Language: de"),
	}
	server := newUpgradeServer(t, Offer{}, nil)
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			if got := server.head(t, request); got != upgradeAnswer {
				t.Fatalf("got:\n%s\nwant:\n%s", got, upgradeAnswer)
			}
			if u := server.next(t); u.Buffered != nil || u.Subprotocol != "" || u.Deflate.Agreed {
				t.Errorf("got %+v", u)
			}
		})
	}
}

func TestUpgradeRefusesBadHandshakes(t *testing.T) {
	const key, version = "Sec-WebSocket-Key", "Sec-WebSocket-Version"
	told := http.Header{"Sec-Websocket-Version": {"13"}}
	required := http.Header{"Sec-Websocket-Version": {"13"}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
	tests := map[string]struct {
		request string
		status  int
		header  http.Header
	}{
		"HTTP/1.0":            {upgradeRequest("GET", "GET /chat HTTP/1.0"), 400, nil},
		"POST":                {upgradeRequest("GET", "POST /chat HTTP/1.1"), 405, http.Header{"Allow": {"GET"}}},
		"lower case method":   {upgradeRequest("GET", "get /chat HTTP/1.1"), 405, http.Header{"Allow": {"GET"}}},
		"a body":              {upgradeRequest("", "Content-Length: 3") + "abc", 400, nil},
		"a chunked body":      {upgradeRequest("", "Transfer-Encoding: chunked") + "0\r\n\r\n", 400, nil},
		"no upgrade":          {upgradeRequest("Upgrade"), 400, nil},
		"other upgrade":       {upgradeRequest("Upgrade", "Upgrade: h2c"), 400, nil},
		"longer upgrade":      {upgradeRequest("Upgrade", "Upgrade: websockets"), 400, nil},
		"versioned upgrade":   {upgradeRequest("Upgrade", "Upgrade: websocket/13"), 400, nil},
		"Kelvin sign":         {upgradeRequest("Upgrade", "Upgrade: websoc\u212aet"), 400, nil},
		"no connection":       {upgradeRequest("Connection"), 400, nil},
		"other connection":    {upgradeRequest("Connection", "Connection: keep-alive"), 400, nil},
		"part of a token":     {upgradeRequest("Connection", "Connection: no-upgrade"), 400, nil},
		"tokens by blanks":    {upgradeRequest("Connection", "Connection: keep-alive Upgrade"), 400, nil},
		"no version":          {upgradeRequest(version), 400, told},
		"empty version":       {upgradeRequest(version, version+":"), 400, told},
		"hybi-10's version":   {upgradeRequest(version, version+": 8"), 426, required},
		"version 130":         {upgradeRequest(version, version+": 130"), 426, required},
		"version 013":         {upgradeRequest(version, version+": 013"), 426, required},
		"version in words":    {upgradeRequest(version, version+": thirteen"), 426, required},
		"list of versions":    {upgradeRequest(version, version+": 13, 8"), 426, required},
		"versions by line":    {upgradeRequest(version, version+": 8", version+": 13"), 426, required},
		"no key":              {upgradeRequest(key), 400, nil},
		"empty key":           {upgradeRequest(key, key+":"), 400, nil},
		"key not in base64":   {upgradeRequest(key, key+": dGhlIHNhbXBsZSBub25j!Q=="), 400, nil},
		"key in base64url":    {upgradeRequest(key, key+": -_hlIHNhbXBsZSBub25jZQ=="), 400, nil},
		"key without padding": {upgradeRequest(key, key+": dGhlIHNhbXBsZSBub25jZQ"), 400, nil},
		"key of 15 bytes":     {upgradeRequest(key, key+": dGhlIHNhbXBsZSBub25j"), 400, nil},
		"key of 17 bytes":     {upgradeRequest(key, key+": dGhlIHNhbXBsZSBub25jZWE="), 400, nil},
		"key of 18 bytes":     {upgradeRequest(key, key+": dGhlIHNhbXBsZSBub25jZWFi"), 400, nil},
		"the same key twice":  {upgradeRequest("", upgradeLines[4]), 400, nil},
		"two keys":            {upgradeRequest("", key+": AAAAAAAAAAAAAAAAAAAAAA=="), 400, nil},
	}
	server := newUpgradeServer(t, Offer{}, nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := server.head(t, upgradeRequest("")); got != upgradeAnswer { // the server is fine
				t.Fatalf("the good handshake before it got:\n%s", got)
			}
			server.next(t)
			answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(server.head(t, test.request))), nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != test.status {
				t.Errorf("got status %d, want %d", answer.StatusCode, test.status)
			}
			for _, name := range []string{"Allow", version, "Upgrade", "Connection"} {
				got, want := answer.Header.Get(name), test.header.Get(name)
				if got != want && !(name == "Connection" && got == "close") {
					t.Errorf("got %s: %q, want %q", name, got, want)
				}
			}
			checkUpgradeRefusal(t, server.refusal(t), test.status)
		})
	}
}

// checkUpgradeRefusal wants an *Error that fits in a log line.
func checkUpgradeRefusal(t *testing.T, err error, status int) {
	t.Helper()
	refusal, ok := errors.AsType[*Error](err)
	if !ok || refusal.Status != status || refusal.Unwrap() == nil {
		t.Fatalf("got %#v, want a Error with status %d", err, status)
	}
	if text := err.Error(); !strings.HasPrefix(text, "websocket handshake: ") || len(text) > 150 {
		t.Errorf("got %q", text)
	}
}

func TestHandshakeErrorDoesNotRepeatLongHeaders(t *testing.T) {
	for _, name := range []string{"Sec-WebSocket-Version", "Sec-WebSocket-Key"} {
		r := upgradeParse(t, upgradeRequest(name, name+": "+strings.Repeat("1", 10_000)))
		if err := Check(r); err == nil || len(err.Error()) > 150 {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// upgradeParse returns a request as the server's handler would see it.
func upgradeParse(t *testing.T, request string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestIsUpgrade(t *testing.T) {
	tests := map[string]bool{
		upgradeRequest(""): true,
		upgradeRequest("Upgrade", "upgrade: WebSocket"):                     true,
		upgradeRequest("Upgrade", "Upgrade: h2c", "Upgrade: foo,websocket"): true,
		upgradeRequest("Connection"):                                        true,
		upgradeRequest("Sec-WebSocket-Key"):                                 true,
		upgradeRequest("GET", "POST /chat HTTP/1.1"):                        true,
		upgradeRequest("GET", "GET /chat HTTP/1.0"):                         true,
		upgradeRequest("Upgrade"):                                           false,
		upgradeRequest("Upgrade", "Upgrade: h2c"):                           false,
		upgradeRequest("Upgrade", "Upgrade: web socket"):                    false,
	}
	for request, want := range tests {
		if got := IsUpgrade(upgradeParse(t, request)); got != want {
			t.Errorf("got %t for\n%s", got, request)
		}
	}
	r := upgradeParse(t, upgradeRequest(""))
	r.ProtoMajor, r.ProtoMinor = 2, 0
	if IsUpgrade(r) {
		t.Error("an Upgrade header over HTTP/2 counts")
	}
}

func TestUpgradeChoosesTheClientsFirstKnownSubprotocol(t *testing.T) {
	tests := map[string]struct {
		lines []string
		want  string
	}{
		"none asked":            {nil, ""},
		"none known":            {[]string{"soap, wamp"}, ""},
		"the only one":          {[]string{"json"}, "json"},
		"the client's order":    {[]string{"text, json"}, "text"},
		"the first known":       {[]string{"soap,json,text"}, "json"},
		"on a later line":       {[]string{"soap", "wamp, text", "json"}, "text"},
		"empty elements":        {[]string{",, ,json"}, "json"},
		"names have one case":   {[]string{"JSON, text"}, "text"},
		"no part of a name":     {[]string{"json2, jso, j son"}, ""},
		"nothing is smuggled":   {[]string{`json;x, "json", json/1`}, ""},
		"twice the same":        {[]string{"json, json"}, "json"},
		"the empty one of ours": {[]string{`""`, ""}, ""},
	}
	server := newUpgradeServer(t, Offer{Subprotocols: []string{"json", "text", ""}}, nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var lines []string
			for _, line := range test.lines {
				lines = append(lines, "Sec-WebSocket-Protocol: "+line)
			}
			head := server.head(t, upgradeRequest("", lines...))
			if got := server.next(t).Subprotocol; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			want := "Sec-WebSocket-Protocol: " + test.want + "\r\n"
			if got := strings.Contains(head, "Sec-WebSocket-Protocol"); got != (test.want != "") || got && !strings.Contains(head, want) {
				t.Errorf("got:\n%s", head)
			}
		})
	}
}

// What is answered to every form of an offer, without context takeover and with.
func TestUpgradeNegotiatesCompression(t *testing.T) {
	const plain, no = "permessage-deflate", ""
	const alone = plain + "; server_no_context_takeover; client_no_context_takeover"
	tests := map[string]struct {
		lines          []string
		alone, context string // the answers
	}{
		"none asked":               {nil, no, no},
		"bare":                     {[]string{"permessage-deflate"}, alone, plain},
		"as browsers ask":          {[]string{"permessage-deflate; client_max_window_bits"}, alone, plain + "; client_max_window_bits=13"},
		"every flag":               {[]string{"permessage-deflate ; server_no_context_takeover;client_no_context_takeover"}, alone, alone},
		"server alone":             {[]string{"permessage-deflate; server_no_context_takeover"}, alone, plain + "; server_no_context_takeover"},
		"client alone":             {[]string{"permessage-deflate; client_no_context_takeover; client_max_window_bits"}, alone, plain + "; client_no_context_takeover"},
		"client window":            {[]string{"permessage-deflate; client_max_window_bits=10"}, alone, plain + "; client_max_window_bits=10"},
		"least client window":      {[]string{"permessage-deflate; client_max_window_bits=8"}, alone, plain + "; client_max_window_bits=8"},
		"quoted client window":     {[]string{`permessage-deflate; client_max_window_bits="15"`}, alone, plain + "; client_max_window_bits=13"},
		"escaped client window":    {[]string{`permessage-deflate; client_max_window_bits="1\1"`}, alone, plain + "; client_max_window_bits=11"},
		"blanks around everything": {[]string{"\tpermessage-deflate\t;  client_max_window_bits = 9 "}, alone, plain + "; client_max_window_bits=9"},
		"client window too big":    {[]string{"permessage-deflate; client_max_window_bits=16"}, no, no},
		"client window of 08":      {[]string{"permessage-deflate; client_max_window_bits=08"}, no, no},
		"client window of +9":      {[]string{"permessage-deflate; client_max_window_bits=+9"}, no, no},
		"client window empty":      {[]string{"permessage-deflate; client_max_window_bits="}, no, no},
		"server window":            {[]string{"permessage-deflate; server_max_window_bits=10"}, alone + "; server_max_window_bits=10", plain + "; server_max_window_bits=10"},
		"largest server window":    {[]string{"permessage-deflate; server_max_window_bits=15"}, alone + "; server_max_window_bits=15", plain + "; server_max_window_bits=15"},
		"least server window":      {[]string{"permessage-deflate; server_max_window_bits=8"}, alone + "; server_max_window_bits=8", plain + "; server_max_window_bits=8"},
		"server window of 7":       {[]string{"permessage-deflate; server_max_window_bits=7"}, no, no},
		"server window of 16":      {[]string{"permessage-deflate; server_max_window_bits=16"}, no, no},
		"server window, no value":  {[]string{"permessage-deflate; server_max_window_bits"}, no, no},
		"everything": {
			[]string{"permessage-deflate; server_max_window_bits=11; client_max_window_bits=12; client_no_context_takeover; server_no_context_takeover"},
			alone + "; server_max_window_bits=11", alone + "; server_max_window_bits=11",
		},
		"both windows":           {[]string{"permessage-deflate; client_max_window_bits=15; server_max_window_bits=9"}, alone + "; server_max_window_bits=9", plain + "; server_max_window_bits=9; client_max_window_bits=13"},
		"first of two":           {[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, alone + "; server_max_window_bits=10", plain + "; server_max_window_bits=10"},
		"fallback":               {[]string{"permessage-deflate; server_max_window_bits=1, permessage-deflate"}, alone, plain},
		"fallback on a line":     {[]string{"permessage-deflate; foo", "permessage-deflate"}, alone, plain},
		"empty elements":         {[]string{",, ,permessage-deflate,,", ","}, alone, plain},
		"unknown parameter":      {[]string{"permessage-deflate; level=9"}, no, no},
		"repeated parameter":     {[]string{"permessage-deflate; client_max_window_bits; client_max_window_bits"}, no, no},
		"repeated flag":          {[]string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, no, no},
		"flag with a value":      {[]string{"permessage-deflate; server_no_context_takeover=1"}, no, no},
		"name with a value":      {[]string{"permessage-deflate=1"}, no, no},
		"empty parameter":        {[]string{"permessage-deflate;"}, no, no},
		"other extension":        {[]string{"x-webkit-deflate-frame"}, no, no},
		"behind another":         {[]string{`foo; bar=1, foo; bar="a, b", permessage-deflate`}, alone, plain},
		"longer name":            {[]string{"permessage-deflate2, xpermessage-deflate"}, no, no},
		"inside of a string":     {[]string{`foo; bar=", permessage-deflate, "`}, no, no},
		"behind an escape":       {[]string{`foo; bar="\", permessage-deflate, "`}, no, no},
		"open string":            {[]string{`foo; bar=", permessage-deflate`}, no, no},
		"open string of a value": {[]string{`permessage-deflate; client_max_window_bits="10`}, no, no},
		"open escape of a value": {[]string{`permessage-deflate; client_max_window_bits="10\`}, no, no},
		"string and more":        {[]string{`permessage-deflate; client_max_window_bits="10"0`}, no, no},
		"malformed line first":   {[]string{`=;",`, "permessage-deflate"}, alone, plain},
		"nothing but separators": {[]string{",;,;=", " "}, no, no},
	}
	for _, takeover := range []bool{false, true} {
		server := newUpgradeServer(t, Offer{Compression: true, Takeover: takeover}, nil)
		for name, test := range tests {
			t.Run(fmt.Sprint(name, ", takeover ", takeover), func(t *testing.T) {
				var lines []string
				for _, line := range test.lines {
					lines = append(lines, "Sec-WebSocket-Extensions: "+line)
				}
				agreed, want := test.alone, upgradeAnswer
				if takeover {
					agreed = test.context
				}
				if agreed != "" {
					want = strings.Replace(upgradeAnswer, "Upgrade: websocket", "Sec-WebSocket-Extensions: "+agreed+"\r\nUpgrade: websocket", 1)
				}
				if head := server.head(t, upgradeRequest("", lines...)); head != want {
					t.Errorf("got:\n%s\nwant:\n%s", head, want)
				}
				if got := server.next(t).Deflate.Agreed; got != (agreed != "") {
					t.Errorf("Agreed: %t", got)
				}
			})
		}
	}
}

// Whatever is offered, an answer is only what RFC 7692 allows to answer to some
// offer in it.
func FuzzDeflateOffer(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits; server_max_window_bits=10", true)
	f.Add(`foo; a="b, permessage-deflate", permessage-deflate; client_max_window_bits="9"`, true)
	f.Add(`permessage-deflate; server_no_context_takeover,,permessage-deflate;client_no_context_takeover`, false)
	f.Fuzz(func(t *testing.T, line string, takeover bool) {
		p := negotiateDeflate(http.Header{"Sec-Websocket-Extensions": {line}}, Offer{Compression: true, Takeover: takeover})
		if !p.Agreed {
			return
		}
		for _, bits := range []int{p.ServerWindow(), p.ClientWindow()} {
			if bits < frames.MinWindowBits || bits > frames.MaxWindowBits {
				t.Fatalf("%+v", p)
			}
		}
		again, ok := parseDeflateOffer(extensionHeader(p))
		if again.Agreed = true; !ok || again != p {
			t.Fatalf("%+v is answered as %q", p, extensionHeader(p))
		}
		for name, answered := range map[string]bool{
			"permessage-deflate": true, "server_max_window_bits": p.ServerMaxWindowBits > 0, "client_max_window_bits": p.ClientMaxWindowBits > 0,
		} {
			if answered && !strings.Contains(line, name) {
				t.Fatalf("%q is answered with %q", line, extensionHeader(p))
			}
		}
	})
}

// A client need not wait for the 101 before it sends its first frames. Whatever
// of them the server has read with the request comes first, the rest from Conn.
func TestUpgradeKeepsEarlyData(t *testing.T) {
	frame := "\x81\x82\x00\x00\x00\x00hi"
	tests := map[string]string{
		"one frame":                      frame,
		"one byte":                       frame[:1],
		"more than the server's buffers": strings.Repeat(frame, 10_000),
	}
	server := newUpgradeServer(t, Offer{}, nil)
	for name, early := range tests {
		t.Run(name, func(t *testing.T) {
			conn := server.dial(t)
			upgradeSend(t, conn, upgradeRequest("")+early)
			u := server.next(t)
			if len(u.Buffered) == 0 {
				t.Error("nothing was buffered")
			}
			checkUpgradeReads(t, u, early)
		})
	}
}

// The other moment: net/http waits with one byte in hand while a handler runs.
func TestUpgradeKeepsDataThatComesMeanwhile(t *testing.T) {
	running, sent := make(chan bool), make(chan bool)
	server := newUpgradeServer(t, Offer{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running <- true
			<-sent
			next.ServeHTTP(w, r)
		})
	})
	conn := server.dial(t)
	upgradeSend(t, conn, upgradeRequest(""))
	<-running
	upgradeSend(t, conn, "meanwhile")
	sent <- true
	checkUpgradeReads(t, server.next(t), "meanwhile")
}

func checkUpgradeReads(t *testing.T, u *Upgraded, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(io.MultiReader(bytes.NewReader(u.Buffered), u.Conn), got); err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%d bytes differ from what was sent", len(want))
	}
}

// upgradeUnwrap is a writer as Caddy's are: it has nothing but Unwrap.
type upgradeUnwrap struct {
	http.ResponseWriter
	status int
}

func (w *upgradeUnwrap) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *upgradeUnwrap) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// upgradeHijacker is a writer as Caddy's response recorder: its Hijack passes the call on.
type upgradeHijacker struct{ upgradeUnwrap }

func (w *upgradeHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

func TestUpgradeGoesThroughTheWritersAround(t *testing.T) {
	statuses := make(chan int, 2)
	server := newUpgradeServer(t, Offer{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner := &upgradeUnwrap{ResponseWriter: w}
			outer := &upgradeHijacker{upgradeUnwrap{ResponseWriter: inner}}
			next.ServeHTTP(&upgradeUnwrap{ResponseWriter: outer}, r)
			statuses <- inner.status
			statuses <- outer.status
		})
	})
	if got := server.head(t, upgradeRequest("")); got != upgradeAnswer {
		t.Errorf("got:\n%s", got)
	}
	server.next(t)
	if inner, outer := <-statuses, <-statuses; inner != 101 || outer != 101 {
		t.Errorf("the writers around saw %d and %d, want 101", inner, outer)
	}
}

func TestUpgradeSendsTheHeadersOfOuterHandlers(t *testing.T) {
	server := newUpgradeServer(t, Offer{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			maps.Copy(w.Header(), http.Header{
				"Alt-Svc":    {`h3=":443"`},
				"Server":     {"Caddy"},
				"Set-Cookie": {"a=1", "b=2"},
				// What a 101 must not have, or not from others:
				"Connection":               {"close"},
				"Content-Length":           {"5"},
				"Transfer-Encoding":        {"chunked"},
				"Upgrade":                  {"h2c"},
				"Sec-Websocket-Accept":     {"forged"},
				"Sec-WebSocket-Protocol":   {"forged"},
				"Sec-Websocket-Extensions": {"forged"},
			})
			next.ServeHTTP(w, r)
		})
	})
	want := strings.NewReplacer(
		"Connection", "Alt-Svc: h3=\":443\"\r\nConnection",
		"Upgrade: ", "Server: Caddy\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nUpgrade: ",
	).Replace(upgradeAnswer)
	if got := server.head(t, upgradeRequest("")); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	server.next(t)
}

// Over HTTP/2 and 3 such a field would make the answer malformed (RFC 9113,
// section 8.2.2).
func TestUpgradeOfAStreamSendsNothingOfAnUpgrade(t *testing.T) {
	r := upgradeParse(t, upgradeRequest("", "Sec-WebSocket-Protocol: json"))
	r.Method, r.ProtoMajor, r.ProtoMinor = http.MethodConnect, 2, 0
	r.Header.Set(":protocol", "websocket")
	w := httptest.NewRecorder()
	maps.Copy(w.Header(), http.Header{
		"Server": {"Caddy"}, "Upgrade": {"h2c"}, "Connection": {"close"}, "Sec-Websocket-Accept": {"forged"}, "Sec-Websocket-Protocol": {"forged"},
	})
	if _, err := Upgrade(w, r, Offer{Subprotocols: []string{"json"}}); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Server": {"Caddy"}, "Sec-WebSocket-Protocol": {"json"}}
	if got := w.Result().Header; w.Code != http.StatusOK || !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %d %v, want %v", w.Code, got, want)
	}
}

// A storm of clients that come back is made of handshakes.
func TestUpgradeAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; the ordinary run covers this")
	}
	r := upgradeParse(t, upgradeRequest("", "Sec-WebSocket-Protocol: json", "Sec-WebSocket-Extensions: permessage-deflate"))
	offer := Offer{Subprotocols: []string{"json"}, Compression: true}
	const fake, ours = 9, 8 // those of the writer below; Upgraded, the answer, what hijacking takes
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Upgrade(newUpgradeFake(), r, offer); err != nil {
			t.Fatal(err)
		}
	}); n > fake+ours {
		t.Errorf("%v allocations, want at most %d", n, fake+ours)
	}
}

func TestUpgradeWhileTheServerEndsKeepAlives(t *testing.T) {
	server := newUpgradeServer(t, Offer{}, nil)
	server.Config.SetKeepAlivesEnabled(false)
	if got := server.head(t, upgradeRequest("")); got != upgradeAnswer {
		t.Errorf("got:\n%s", got)
	}
	server.next(t)
}

func TestUpgradeWithoutHijackWritesNothing(t *testing.T) {
	writers := map[string]func(http.ResponseWriter) http.ResponseWriter{
		"bare":    func(w http.ResponseWriter) http.ResponseWriter { return w },
		"wrapped": func(w http.ResponseWriter) http.ResponseWriter { return &upgradeUnwrap{ResponseWriter: w} },
		"Hijack over none": func(w http.ResponseWriter) http.ResponseWriter {
			return &upgradeHijacker{upgradeUnwrap{ResponseWriter: w}}
		},
		"a wrapper of nothing at all": func(http.ResponseWriter) http.ResponseWriter { return &upgradeUnwrap{} },
	}
	for name, wrap := range writers {
		t.Run(name, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			base := &upgradeStatus{ResponseWriter: recorder}
			u, err := Upgrade(wrap(base), upgradeParse(t, upgradeRequest("")), Offer{})
			if u != nil {
				t.Errorf("got %+v", u)
			}
			checkUpgradeRefusal(t, err, http.StatusNotImplemented)
			if base.status != 0 || len(recorder.Header()) != 0 || recorder.Body.Len() != 0 {
				t.Errorf("wrote %d %v %q", base.status, recorder.Header(), recorder.Body)
			}
		})
	}
}

// upgradeStatus records the status and has no Unwrap.
type upgradeStatus struct {
	http.ResponseWriter
	status int
}

func (w *upgradeStatus) WriteHeader(status int) { w.status = status }

// upgradeHijackFails is a writer over a good one whose Hijack doesn't work.
type upgradeHijackFails struct{ upgradeUnwrap }

func (w *upgradeHijackFails) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("out of order")
}

// Otherwise the server would take the client's frames for its next request.
func TestUpgradeClosesTheConnectionIfHijackFails(t *testing.T) {
	server := newUpgradeServer(t, Offer{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&upgradeHijackFails{upgradeUnwrap{ResponseWriter: w}}, r)
		})
	})
	conn := server.dial(t)
	upgradeSend(t, conn, upgradeRequest(""))
	if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
		t.Errorf("got %q, %v, want the end of the connection", got, err)
	}
	err := server.refusal(t)
	if _, refused := errors.AsType[*Error](err); refused || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("got %#v", err)
	}
}

func TestUpgradeLeavesAnotherOwnersConnectionAlone(t *testing.T) {
	owners := make(chan net.Conn, 1)
	server := newUpgradeServer(t, Offer{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			next.ServeHTTP(w, r)
			owners <- conn
		})
	})
	conn := server.dial(t)
	upgradeSend(t, conn, upgradeRequest(""))
	if err := server.refusal(t); !errors.Is(err, http.ErrHijacked) {
		t.Errorf("got %v", err)
	}
	owner := <-owners
	upgradeSend(t, owner, "mine")
	owner.Close()
	if got, err := io.ReadAll(conn); string(got) != "mine" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// upgradeFake is a ResponseWriter with a hijacked connection to look at.
type upgradeFake struct {
	upgradeStatus
	conn   upgradeFakeConn
	writer *bufio.Writer
}

func newUpgradeFake() *upgradeFake {
	w := &upgradeFake{upgradeStatus: upgradeStatus{ResponseWriter: httptest.NewRecorder()}}
	w.writer = bufio.NewWriter(&w.conn)
	return w
}

func (w *upgradeFake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return &w.conn, bufio.NewReadWriter(bufio.NewReader(&w.conn), w.writer), nil
}

// upgradeFakeConn fails with err, if there is one.
type upgradeFakeConn struct {
	net.Conn
	err       error
	written   bytes.Buffer
	deadlines []time.Time
	closed    bool
}

func (c *upgradeFakeConn) Close() error { c.closed = true; return nil }

func (c *upgradeFakeConn) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	return c.written.Write(p)
}

func (c *upgradeFakeConn) SetDeadline(at time.Time) error {
	c.deadlines = append(c.deadlines, at)
	return nil
}

func TestUpgradeFlushesAndClearsDeadlines(t *testing.T) {
	w := newUpgradeFake()
	w.writer.WriteString("waiting")
	u, err := Upgrade(w, upgradeParse(t, upgradeRequest("")), Offer{})
	if err != nil {
		t.Fatal(err)
	}
	if u.Conn != &w.conn || w.conn.closed || w.status != 101 {
		t.Errorf("got %+v after status %d", u, w.status)
	}
	if got := w.conn.written.String(); got != "waiting" {
		t.Errorf("flushed %q", got)
	}
	if got := w.conn.deadlines; len(got) == 0 || !got[len(got)-1].IsZero() {
		t.Errorf("set deadlines %v", got)
	}
}

func TestUpgradeClosesTheConnectionIfTheFlushFails(t *testing.T) {
	w := newUpgradeFake()
	w.conn.err = io.ErrClosedPipe
	w.writer.WriteString("waiting")
	u, err := Upgrade(w, upgradeParse(t, upgradeRequest("")), Offer{})
	if _, refused := errors.AsType[*Error](err); u != nil || refused || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, %#v", u, err)
	}
	if !w.conn.closed {
		t.Error("the connection is open")
	}
}

// A quarter of a million idle connections must not keep their requests.
func TestUpgradeDoesNotKeepTheRequest(t *testing.T) {
	collected := make(chan string, 2)
	server := newUpgradeServer(t, Offer{Subprotocols: []string{"json"}}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wrapper := &upgradeUnwrap{ResponseWriter: w}
			runtime.AddCleanup(r, func(name string) { collected <- name }, "request")
			runtime.AddCleanup(wrapper, func(name string) { collected <- name }, "writer")
			next.ServeHTTP(wrapper, r)
		})
	})
	conn := server.dial(t)
	upgradeSend(t, conn, upgradeRequest("", "Sec-WebSocket-Protocol: json")+"early")
	u := server.next(t)
	deadline := time.After(time.Minute)
	for range 2 {
		waitUpgradeCollected(t, collected, deadline)
	}
	if u.Subprotocol != "json" || string(u.Buffered) != "early" {
		t.Errorf("got %+v", u)
	}
	if cap(u.Buffered) > 64 {
		t.Errorf("Buffered keeps the server's buffer of %d bytes", cap(u.Buffered))
	}
	runtime.KeepAlive(u)
}

func waitUpgradeCollected(t *testing.T, collected <-chan string, deadline <-chan time.Time) {
	t.Helper()
	for {
		runtime.GC()
		select {
		case <-collected:
			return
		case <-deadline:
			t.Fatal("the request or its writer is still referenced")
		default:
		}
	}
}

// gorilla's own client judges the answer and speaks over the connection.
func TestUpgradeSpeaksWithGorillasClient(t *testing.T) {
	offer := Offer{Subprotocols: []string{"json"}, Compression: true}
	for _, scheme := range []string{"ws", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			server := unstartedUpgradeServer(t, offer, nil)
			dialer := websocket.Dialer{Subprotocols: []string{"soap", "json"}, EnableCompression: true, HandshakeTimeout: time.Minute}
			if scheme == "wss" {
				server.StartTLS()
				dialer.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
			} else {
				server.Start()
			}
			client, answer, err := dialer.Dial(scheme+"://"+server.Listener.Addr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			u := server.next(t)
			if u.Subprotocol != "json" || client.Subprotocol() != "json" || !u.Deflate.Agreed {
				t.Errorf("got %+v, the client %q %v", u, client.Subprotocol(), answer.Header)
			}
			if _, ok := u.Conn.(*tls.Conn); ok != (scheme == "wss") {
				t.Errorf("got a %T", u.Conn)
			}
			checkUpgradeTalk(t, u, client)
		})
	}
}

// checkUpgradeTalk sends one message in each direction.
func checkUpgradeTalk(t *testing.T, u *Upgraded, client *websocket.Conn) {
	t.Helper()
	upgradeSend(t, u.Conn, "\x81\x05hello")
	if _, message, err := client.ReadMessage(); string(message) != "hello" || err != nil {
		t.Errorf("the client got %q, %v", message, err)
	}
	client.EnableWriteCompression(false)
	if err := client.WriteMessage(websocket.TextMessage, []byte("world")); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 2+4+5)
	if _, err := io.ReadFull(u.Conn, frame); err != nil {
		t.Fatal(err)
	}
	for i := range frame[6:] {
		frame[6+i] ^= frame[2+i%4]
	}
	if frame[0] != 0x81 || frame[1] != 0x85 || string(frame[6:]) != "world" {
		t.Errorf("the server got % x", frame)
	}
}

// gorillaAnswer is gorilla's answer to a request. It gets a copy that is not
// ambiguous, since it skips lists with empty elements or versioned protocols (RFC
// 9110, sections 5.6.1 and 7.8).
func gorillaAnswer(r *http.Request, o Offer) (http.Header, error) {
	upgrader := websocket.Upgrader{
		CheckOrigin:       func(*http.Request) bool { return true },
		EnableCompression: o.Compression,
		Subprotocols:      o.Subprotocols,
	}
	request := &http.Request{Method: r.Method, Header: r.Header.Clone()}
	request.Header["Connection"] = []string{"Upgrade"}
	request.Header["Upgrade"] = []string{"websocket"}
	w := newUpgradeFake()
	if _, err := upgrader.Upgrade(w, request, nil); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(&w.conn.written), nil)
	if err != nil {
		return nil, err
	}
	return answer.Header, nil
}

// checkLikeGorillas wants our answer to a request to be gorilla's, spelled as
// the RFC does.
func checkLikeGorillas(t *testing.T, r *http.Request, o Offer) {
	t.Helper()
	want, err := gorillaAnswer(r, o)
	if err != nil {
		t.Errorf("gorilla refuses %v: %v", r.Header, err)
		return
	}
	w := newUpgradeFake()
	if _, err := Upgrade(w, r, o); err != nil {
		t.Errorf("%v is refused: %v", r.Header, err)
		return
	}
	got := http.Header{}
	for name, values := range w.Header() {
		if !slices.ContainsFunc(answerFields[:], func(f struct{ name, canonical string }) bool { return f.name == name }) {
			t.Errorf("the answer has %q", name)
		}
		got[http.CanonicalHeaderKey(name)] = values
	}
	if w.status != http.StatusSwitchingProtocols || !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("the answer to %v is %d %v, gorilla's %v", r.Header, w.status, got, want)
	}
}

func TestUpgradeAnswersAsGorilla(t *testing.T) {
	offers := []Offer{{}, {Compression: true}, {Subprotocols: []string{"json"}}, {Subprotocols: []string{"json", "text"}, Compression: true}}
	requests := [][]string{
		nil,
		{"Sec-WebSocket-Protocol: json"},
		{"Sec-WebSocket-Protocol: soap, json", "Sec-WebSocket-Protocol: text"},
		{"Sec-WebSocket-Protocol: soap", "Sec-WebSocket-Extensions: permessage-deflate"},
		{"Sec-WebSocket-Extensions: foo; bar=1, permessage-deflate; client_max_window_bits", "Origin: null"},
		{"Sec-WebSocket-Extensions: x-webkit-deflate-frame"},
		{"Sec-WebSocket-Extensions: foo; bar=\", permessage-deflate, \""},
	}
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	key := make([]byte, 16)
	for i := range 500 {
		for j := range key {
			key[j] = byte(random.Uint32())
		}
		lines := append([]string{"Sec-WebSocket-Key: " + base64.StdEncoding.EncodeToString(key)}, requests[i%len(requests)]...)
		checkLikeGorillas(t, upgradeParse(t, upgradeRequest("Sec-WebSocket-Key", lines...)), offers[i%len(offers)])
	}
}

// What gorilla accepts, we accept, except for lists of versions; and what
// Check lets pass is answered as gorilla does. Which extensions are
// taken is not compared: gorilla ignores their parameters.
func FuzzCheckHandshake(f *testing.F) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	f.Add("Upgrade", "websocket", "13", key, "json")
	f.Add("keep-alive,,UPGRADE", "foo/1, WebSocket", "13, 8", "AAAA", "soap, json")
	f.Fuzz(func(t *testing.T, connection, upgrade, version, key, subprotocols string) {
		r := upgradeParse(t, upgradeRequest(""))
		r.Header = http.Header{"Connection": {connection}, "Upgrade": {upgrade}, "Sec-Websocket-Version": {version},
			"Sec-Websocket-Key": {key}, "Sec-Websocket-Protocol": {subprotocols}}
		err := Check(r)
		if _, theirs := new(websocket.Upgrader).Upgrade(newUpgradeFake(), r, nil); theirs == nil && err != nil {
			if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Status != 426 && !strings.ContainsAny(key, "\r\n") {
				t.Errorf("refused with %v", err)
			}
		}
		if err == nil {
			checkLikeGorillas(t, r, Offer{Subprotocols: []string{"json"}})
		}
	})
}

func BenchmarkUpgradeAnswer(b *testing.B) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(upgradeRequest(""))))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Upgrade(newUpgradeFake(), r, Offer{}); err != nil {
			b.Fatal(err)
		}
	}
}
