package blackbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
)

// What the tests of stopping need: connections of every kind, and how each of
// them ended.

// guest is a connection that is to be sent away: a WebSocket over any transport
// or an event stream.
type guest struct {
	io.Reader
	io.Writer // nil for an event stream
}

// invitation opens a connection to a path.
type invitation func(path string) guest

// kinds are the ways to be a guest, each over connections of its own.
var kinds = map[string]func(*server, *testing.T) invitation{
	"http/1.1": (*server).overTCP,
	"wss":      (*server).overTLS,
	"http/2":   (*server).overHTTP2,
	"http/3":   (*server).overHTTP3,
	"events":   (*server).overEvents,
}

const asJSON = "Sec-WebSocket-Protocol: json"

func (s *server) overTCP(t *testing.T) invitation {
	return func(path string) guest {
		c := s.connect(t)
		c.upgrade(path, asJSON)
		return guest{c.r, c}
	}
}

func (s *server) overTLS(t *testing.T) invitation {
	config := s.tls()
	return func(path string) guest {
		c := s.connectTLS(t, config)
		c.upgrade(path, asJSON)
		return guest{c.r, c}
	}
}

func (s *server) overEvents(t *testing.T) invitation {
	return func(path string) guest { return guest{s.events(t, path).r, nil} }
}

// extended is an extended CONNECT.
func (s *server) extended(t *testing.T, path string) *http.Request {
	r, err := http.NewRequest(http.MethodConnect, "https://"+s.tlsAddress()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "localhost"
	r.Header = headers([]string{asJSON, "Sec-WebSocket-Version: 13"})
	return r
}

// overHTTP2 opens streams of one connection.
func (s *server) overHTTP2(t *testing.T) invitation {
	// That of net/http refuses the header :protocol.
	transport := &http2.Transport{TLSClientConfig: s.tls()} //nolint:staticcheck // see above
	t.Cleanup(transport.CloseIdleConnections)               //nolint:staticcheck // see above
	return func(path string) guest {
		body, writer := io.Pipe()
		t.Cleanup(func() { writer.Close() })
		r := s.extended(t, path)
		r.Header.Set(":protocol", "websocket")
		r.Body = body
		response, err := transport.RoundTrip(r) //nolint:staticcheck // see above
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(err, response)
		}
		t.Cleanup(func() { response.Body.Close() })
		return guest{response.Body, writer}
	}
}

// overHTTP3 opens streams of one connection.
func (s *server) overHTTP3(t *testing.T) invitation {
	invite, _, _ := s.overQUIC(t, nil)
	return invite
}

// overQUIC opens streams of one connection, which it returns with what is below.
func (s *server) overQUIC(t *testing.T, configured *quic.Config) (invitation, *http3.ClientConn, net.PacketConn) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	config := s.tls()
	config.NextProtos = []string{http3.NextProtoH3}
	below, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { below.Close() })
	address, err := net.ResolveUDPAddr("udp", s.tlsAddress())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := quic.Dial(ctx, below, address, config, configured)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	client := (&http3.Transport{}).NewClientConn(conn)
	invite := func(path string) guest {
		stream, err := client.OpenRequestStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		r := s.extended(t, path)
		r.Proto = "websocket"
		if err := stream.SendRequestHeader(r); err != nil {
			t.Fatal(err)
		}
		response, err := stream.ReadResponse()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(err, response)
		}
		return guest{bufio.NewReader(stream), stream}
	}
	return invite, client, below
}

// parting is how a connection ended.
type parting struct {
	kind    string
	code    uint16    // 0 without a close frame
	at      time.Time // it was said
	replies int       // that came before
	err     error     // instead of a good end
}

// stay reads what a guest is told, answers the close frame, and returns at the
// end.
func (g guest) stay(kind string) parting {
	if g.Writer == nil {
		_, err := io.Copy(io.Discard, g)
		return parting{kind: kind, at: time.Now(), err: err}
	}
	p := parting{kind: kind}
	for {
		f, err := readFrame(g)
		switch {
		case err != nil:
			p.err = err
			return p
		case f.op == opClose:
			p.code, p.at = binary.BigEndian.Uint16([]byte(f.payload)), time.Now()
			_, p.err = io.WriteString(g, closing(p.code, ""))
			rest, err := io.ReadAll(g)
			if err != nil || len(rest) > 0 {
				p.err = errors.Join(p.err, err, errors.New("something follows the close frame: "+string(rest)))
			}
			return p
		case strings.Contains(f.payload, `"type":"reply"`):
			p.replies++
		}
	}
}

// party is many guests.
type party struct {
	guests []guest
	kinds  []string
	stays  []chan parting
}

// rooms is how many rooms a party is in.
const rooms = 20

// gather opens so many connections of each kind.
func (s *server) gather(t *testing.T, many map[string]int) *party {
	t.Helper()
	p := new(party)
	for kind, n := range many {
		invite := kinds[kind](s, t)
		for range n {
			p.guests = append(p.guests, invite(roomOf(len(p.guests))))
			p.kinds = append(p.kinds, kind)
		}
	}
	return p
}

func roomOf(guest int) string { return "/sum/" + strconv.Itoa(guest%rooms) }

// add has every guest with a WebSocket say 1, and returns when all of it has been
// added up.
func (p *party) add(t *testing.T, s *server) {
	t.Helper()
	var totals [rooms]int
	for i, g := range p.guests {
		if g.Writer == nil {
			continue
		}
		totals[i%rooms]++
		if _, err := io.WriteString(g, text("1")); err != nil {
			t.Fatal(err)
		}
	}
	for i, total := range totals {
		until(t, "all to be added up", func() bool {
			return s.ask(t, http.MethodGet, roomOf(i), "").body == strconv.Itoa(total)
		})
	}
}

// until waits for what nothing announces.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	within(t, patience, what, is)
}

func within(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// retry tries again, with another number, where a busy machine has kept a try from being a test.
func retry(t *testing.T, try func(n int) (held bool)) {
	t.Helper()
	for n := range 5 {
		if try(n) {
			return
		}
		t.Log("the machine is too busy")
	}
	t.Fatal("the machine is always too busy")
}

// stay has the guests listen until they are sent away.
func (p *party) stay() {
	for i, g := range p.guests {
		left := make(chan parting, 1)
		p.stays = append(p.stays, left)
		go func() { left <- g.stay(p.kinds[i]) }()
	}
}

// partings waits for the end of all connections.
func (p *party) partings(t *testing.T) (all []parting) {
	t.Helper()
	deadline := time.After(patience)
	for i, left := range p.stays {
		select {
		case parted := <-left:
			all = append(all, parted)
		case <-deadline:
			t.Fatalf("a connection over %s has not ended", p.kinds[i])
		}
	}
	slices.SortFunc(all, func(a, b parting) int { return a.at.Compare(b.at) })
	return all
}

// checkCodes sees to it that all were closed with a code, and ended well: except
// on a machine so busy that Caddy did not wait for it.
func (s *server) checkCodes(t *testing.T, all []parting, code uint16) {
	t.Helper()
	late := s.log.has(hardEnd)
	if late {
		t.Log("the clients were too slow: some were cut")
	}
	for _, p := range all {
		if p.kind == "events" && p.code != 0 || p.kind != "events" && p.code != code || p.err != nil && !late {
			t.Errorf("%s: closed with %d, %v", p.kind, p.code, p.err)
		}
	}
}

// spread is the time between the first and the last parting.
func spread(all []parting) time.Duration { return all[len(all)-1].at.Sub(all[0].at) }

// withExtendedConnect reports whether this process may open WebSockets over HTTP/2.
// If not it runs the test in one that may, which is to be told when it starts.
func withExtendedConnect(t *testing.T) bool {
	t.Helper()
	const setting = "http2xconnect=1"
	if strings.Contains(os.Getenv("GODEBUG"), setting) {
		return true
	}
	binary, err := caddy()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	again := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), "GODEBUG="+setting, "BLACKBOX_CADDY="+binary, endsAtOnce())
	dieTogether(again)
	output, err := again.CombinedOutput()
	if err != nil || !bytes.Contains(output, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("in a process of its own:\n%s", output)
	return false
}
