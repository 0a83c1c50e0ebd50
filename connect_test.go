package caddyws

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"

	"github.com/caddyws/caddy-websocket/frames"
)

// extendedConnect is what makes Go's HTTP/2, client and server, allow an extended
// CONNECT. It is read when the process starts.
const extendedConnect = "http2xconnect=1"

// streamConfig is a site over TLS, with whatever may stand in front of the
// handler.
const streamConfig = `https://localhost:TLSPORT {
	tls CERTIFICATE CERTIFICATE
	log
	encode
	websocket /echo echo
	websocket /sum sum
	websocket /off {
		app echo
		http off
	}
	route /pass {
		websocket echo {
			http pass
		}
		respond "somebody else" 418
	}
}`

// bidirectional is a stream that an extended CONNECT has opened.
type bidirectional struct {
	io.Writer
	io.Reader
	status  int
	header  http.Header
	done    func()
	pending []byte

	closeWrite func() // ends the client's direction
}

// connect asks for a WebSocket as RFC 8441 and RFC 9220 do.
func (s *server) connect(path, protocol string) *http.Request {
	request, err := http.NewRequest(http.MethodConnect, "https://localhost:"+strconv.Itoa(s.TLSPort)+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Sec-WebSocket-Version", "13")
	request.Header.Set("Sec-WebSocket-Protocol", "json")
	request.Header.Set(":protocol", protocol)
	maps.Copy(request.Header, s.handshake)
	return request
}

// overHTTP2 opens a stream of HTTP/2.
func (s *server) overHTTP2(path, protocol string) *bidirectional {
	s.t.Helper()
	// That of net/http refuses the header :protocol.
	transport := &http2.Transport{TLSClientConfig: s.roots()} //nolint:staticcheck // see above
	body, writer := io.Pipe()
	request := s.connect(path, protocol)
	request.Body = body
	answer, err := transport.RoundTrip(request) //nolint:staticcheck // see above
	if err != nil {
		s.t.Fatal(err)
	}
	done := func() {
		writer.Close()
		answer.Body.Close()
		transport.CloseIdleConnections() //nolint:staticcheck // see above
	}
	s.t.Cleanup(done)
	return &bidirectional{Writer: writer, Reader: answer.Body, status: answer.StatusCode, header: answer.Header, done: done,
		closeWrite: func() { writer.Close() }}
}

// overHTTP3 opens a stream of HTTP/3.
func (s *server) overHTTP3(path, protocol string) *bidirectional {
	s.t.Helper()
	config := s.roots()
	config.NextProtos = []string{http3.NextProtoH3}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	conn, err := quic.DialAddr(ctx, "localhost:"+strconv.Itoa(s.TLSPort), config, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	stream, err := (&http3.Transport{}).NewClientConn(conn).OpenRequestStream(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	request := s.connect(path, protocol)
	request.Header.Del(":protocol")
	request.Proto = protocol
	if err := stream.SendRequestHeader(request); err != nil {
		s.t.Fatal(err)
	}
	answer, err := stream.ReadResponse()
	if err != nil {
		s.t.Fatal(err)
	}
	done := func() { stream.Close(); _ = conn.CloseWithError(0, "") }
	s.t.Cleanup(done)
	return &bidirectional{Writer: stream, Reader: bufio.NewReader(stream), status: answer.StatusCode, header: answer.Header, done: done,
		closeWrite: func() { stream.Close() }}
}

// say sends a text, as a client.
func (b *bidirectional) say(t *testing.T, op frames.Opcode, payload string) {
	t.Helper()
	h := frames.Header{Fin: true, Opcode: op, Key: [4]byte{1, 2, 3, 4}}
	if _, err := b.Write(frames.AppendMasked(nil, h, []byte(payload))); err != nil {
		t.Fatal(err)
	}
}

// hear returns the next frame.
func (b *bidirectional) hear(t *testing.T) (frames.Opcode, string) {
	t.Helper()
	for {
		h, n, err := frames.ParseHeader(b.pending)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && len(b.pending)-n >= int(h.Length) {
			payload := string(b.pending[n : n+int(h.Length)])
			b.pending = b.pending[n+int(h.Length):]
			return h.Opcode, payload
		}
		p := make([]byte, 4096)
		k, err := b.Read(p)
		if k == 0 && err != nil {
			t.Fatal(err)
		}
		b.pending = append(b.pending, p[:k]...)
	}
}

func (b *bidirectional) expect(t *testing.T, op frames.Opcode, payload string) {
	t.Helper()
	if gotOp, got := b.hear(t); gotOp != op || !strings.Contains(got, payload) {
		t.Fatalf("heard %v %q, not %v %q", gotOp, got, op, payload)
	}
}

// overStreams runs a test over HTTP/2 and HTTP/3. HTTP/2 needs a process of its
// own that has been told to allow it.
func overStreams(t *testing.T, test func(t *testing.T, s *server, open func(path, protocol string) *bidirectional)) {
	t.Helper()
	overStreamsOf(t, streamConfig, test)
}

// overStreamsOf is overStreams with another Caddyfile.
func overStreamsOf(t *testing.T, config string, test func(t *testing.T, s *server, open func(path, protocol string) *bidirectional)) {
	t.Run("h2", func(t *testing.T) {
		if !strings.Contains(os.Getenv("GODEBUG"), extendedConnect) {
			again := exec.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
			again.Env = append(os.Environ(), "GODEBUG="+extendedConnect)
			if output, err := again.CombinedOutput(); err != nil || !strings.Contains(string(output), "--- PASS") {
				t.Fatalf("%v\n%s", err, output)
			}
			return
		}
		s := start(t, config)
		test(t, s, s.overHTTP2)
	})
	t.Run("h3", func(t *testing.T) {
		s := start(t, config)
		test(t, s, s.overHTTP3)
	})
}

func TestWebSocketOverStreams(t *testing.T) {
	overStreams(t, func(t *testing.T, s *server, open func(path, protocol string) *bidirectional) {
		b := open("/sum", "websocket")
		if b.status != http.StatusOK || b.header.Get("Sec-WebSocket-Protocol") != "json" ||
			b.header.Get("Upgrade") != "" || b.header.Get("Sec-WebSocket-Accept") != "" {
			t.Fatalf("answered %d %v", b.status, b.header)
		}
		b.expect(t, frames.Text, `"total":0`)
		other := open("/sum", "websocket")
		other.expect(t, frames.Text, `"total":0`)
		b.say(t, frames.Text, "6")
		b.expect(t, frames.Text, `"type":"reply"`)
		other.expect(t, frames.Text, `"total":6`)
		b.say(t, frames.Ping, "p")
		b.expect(t, frames.Pong, "p")
		b.say(t, frames.Close, "\x03\xe8")
		b.expect(t, frames.Close, "\x03\xe8")
		if n, err := b.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("after the close frame: %d bytes, %v", n, err)
		}
		echo := open("/echo", "websocket")
		big := strings.Repeat("x", 60000)
		echo.say(t, frames.Binary, big)
		echo.expect(t, frames.Binary, big)
		echo.say(t, frames.Text, "\xff")
		echo.expect(t, frames.Close, "\x03\xef") // 1007
	})
}

func TestAnotherProtocolThanWebSocketOverStreams(t *testing.T) {
	overStreams(t, func(t *testing.T, _ *server, open func(path, protocol string) *bidirectional) {
		for _, protocol := range []string{"connect-udp", "webtransport"} {
			for path, status := range map[string]int{
				"/echo": http.StatusNotImplemented,
				"/off":  http.StatusNotImplemented,
				"/pass": http.StatusTeapot,
			} {
				if b := open(path, protocol); b.status != status {
					t.Errorf("%s to %s is answered with %d", protocol, path, b.status)
				}
			}
		}
		if b := open("/pass", "websocket"); b.status != http.StatusOK {
			t.Errorf("a WebSocket is answered with %d", b.status)
		}
	})
}

// A refused handshake has no field that speaks of the connection: it would make the
// answer malformed (RFC 9113, section 8.2.2; RFC 9114, section 4.2).
func TestRefusalOverStreams(t *testing.T) {
	overStreams(t, func(t *testing.T, s *server, open func(path, protocol string) *bidirectional) {
		for field, refused := range map[string]struct {
			value  string
			status int
		}{
			"Sec-Websocket-Version": {"8", http.StatusUpgradeRequired},
			"Origin":                {"https://evil.example", http.StatusForbidden},
		} {
			s.handshake = http.Header{field: {refused.value}}
			b := open("/echo", "websocket")
			if b.status != refused.status || refused.status == http.StatusUpgradeRequired && b.header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("%s: answered %d %v", field, b.status, b.header)
			}
			for _, name := range []string{"Upgrade", "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding"} {
				if values, ok := b.header[name]; ok {
					t.Errorf("%s: answered with %s: %q", field, name, values)
				}
			}
		}
	})
}

// A client that is gone without a word leaves the room, and one that stays is
// sent away when the configuration that has it goes.
func TestStreamsEnd(t *testing.T) {
	overStreams(t, func(t *testing.T, s *server, open func(path, protocol string) *bidirectional) {
		gone, stays := open("/sum", "websocket"), open("/sum", "websocket")
		gone.expect(t, frames.Text, `"total":0`)
		stays.expect(t, frames.Text, `"total":0`)
		gone.done()
		s.load(":PORT {\n respond ok\n}")
		stays.expect(t, frames.Close, "\x03\xe9") // 1001
	})
}

// A stream lives through a reload and follows the new options, like any other
// connection.
func TestStreamsLiveThroughAReload(t *testing.T) {
	overStreams(t, func(t *testing.T, s *server, open func(path, protocol string) *bidirectional) {
		stream := open("/sum", "websocket")
		stream.expect(t, frames.Text, `"total":0`)
		stream.say(t, frames.Text, "5")
		stream.expect(t, frames.Text, `"total":5`)
		for range 3 {
			s.load(strings.Replace(streamConfig, "/sum sum", "/sum sum {\n max_message_size 20B\n }", 1))
			stream.say(t, frames.Text, "0")
			stream.expect(t, frames.Text, `"type":"reply"`)
		}
		stream.say(t, frames.Text, strings.Repeat("1", 21))
		stream.expect(t, frames.Close, "\x03\xf1") // 1009
	})
}
