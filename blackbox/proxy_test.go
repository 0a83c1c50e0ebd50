package blackbox

import (
	"crypto/tls"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// network is what a proxy does to everything that it forwards.
type network struct {
	piece int           // bytes at a time; 0 for as they come
	delay time.Duration // before each piece
}

// proxy is a bad network between one client and the server.
type proxy struct {
	network
	client, server *net.TCPConn
	silent         atomic.Bool         // forwards nothing any more, not even an end
	next           atomic.Pointer[end] // what is going to happen
}

// end comes after some more bytes of the client.
type end struct {
	after int
	by    func(*proxy)
}

// proxy connects a client to an address of the server.
func (n network) proxy(t *testing.T, address string) (net.Conn, *proxy) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client := dialTCP(t, listener.Addr().String())
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{network: n, client: accepted.(*net.TCPConn), server: dialTCP(t, address)}
	t.Cleanup(p.cut)
	go p.forward(p.client, p.server, p.toServer)
	go p.forward(p.server, p.client, p.toClient)
	return client, p
}

func dialTCP(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// forward passes on what comes from one side to the other, and its end.
func (p *proxy) forward(from, to *net.TCPConn, pass func(piece []byte)) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		for piece := range slices.Chunk(b[:n], p.size(n)) {
			time.Sleep(p.delay) // the fault itself
			if !p.silent.Load() {
				pass(piece)
			}
		}
		switch {
		case err == nil:
		case p.silent.Load():
			return
		default:
			to.CloseWrite()
			return
		}
	}
}

func (p *proxy) toClient(piece []byte) { p.client.Write(piece) }

// toServer brings the end about, if it has come.
func (p *proxy) toServer(piece []byte) {
	e := p.next.Load()
	if e == nil {
		p.server.Write(piece)
		return
	}
	piece = piece[:min(len(piece), e.after)]
	p.server.Write(piece)
	if e.after -= len(piece); e.after == 0 {
		e.by(p)
	}
}

// size is how much of n bytes is passed on at a time.
func (p *proxy) size(n int) int {
	if p.piece == 0 {
		return max(n, 1)
	}
	return p.piece
}

// after has the connection end when so many more bytes of the client, which has
// said nothing that has not arrived, have been passed on.
func (p *proxy) after(n int, by func(*proxy)) { p.next.Store(&end{n, by}) }

// cut ends the connection as if both sides had.
func (p *proxy) cut() {
	p.server.Close()
	p.client.Close()
}

// reset ends it with RST.
func (p *proxy) reset() {
	p.server.SetLinger(0)
	p.client.SetLinger(0)
	p.cut()
}

// silence takes everything and passes on nothing: each side believes that the
// other is there.
func (p *proxy) silence() { p.silent.Store(true) }

// connector connects a client over a bad network.
type connector func(*testing.T, network) (*socket, *proxy)

// overBad is overBoth with a bad network in between.
func (s *server) overBad(t *testing.T, test func(*testing.T, connector)) {
	t.Run("ws", func(t *testing.T) { test(t, s.connectBadly) })
	t.Run("wss", func(t *testing.T) { test(t, s.connectBadlyTLS(s.tls())) })
}

func (s *server) connectBadly(t *testing.T, n network) (*socket, *proxy) {
	t.Helper()
	conn, p := n.proxy(t, s.address())
	return adopt(t, conn), p
}

func (s *server) connectBadlyTLS(config *tls.Config) connector {
	return func(t *testing.T, n network) (*socket, *proxy) {
		t.Helper()
		conn, p := n.proxy(t, s.tlsAddress())
		return adopt(t, tls.Client(conn, config)), p
	}
}

const faultsConfig = `GLOBAL
	admin 127.0.0.1:OTHERPORT
END
(routes) {
	websocket /echo echo
	websocket /sum/* sum
}
:PORT {
	import routes
}
localhost:TLSPORT {
	tls internal
	import routes
}`

// However slowly and in however small pieces bytes come and go, messages are what
// they were.
func TestBadNetworksChangeNothing(t *testing.T) {
	s := start(t, faultsConfig)
	s.overBad(t, func(t *testing.T, connect connector) {
		for name, n := range map[string]network{
			"byte by byte": {piece: 1},
			"slow pieces":  {piece: 3, delay: 20 * time.Microsecond},
			"slow":         {delay: 5 * time.Millisecond},
		} {
			t.Run(name, func(t *testing.T) {
				echoes(t, connect, n)
				adds(t, connect, n)
			})
		}
	})
}

// echoes sends messages of all kinds and compares what comes back.
func echoes(t *testing.T, connect connector, n network) {
	t.Helper()
	c, _ := connect(t, n)
	c.upgrade("/echo")
	for _, size := range []int{0, 1, 126} {
		message := strings.Repeat("\u20ac", size/3) + strings.Repeat("x", size%3)
		c.write(text(message) + begin(message) + ping("p") + more("") + last(message))
		c.expectText(message)
		c.expect(frame{op: opPong, fin: true, payload: "p"})
		c.expectText(message + message)
	}
	c.write(closing(1000, "bye"))
	c.expectClose(1000)
}

// adds sends numbers at once, to a room of the test's own, and expects every total.
func adds(t *testing.T, connect connector, n network) {
	t.Helper()
	c, _ := connect(t, n)
	c.upgrade("/sum/" + t.Name())
	c.write(strings.Repeat(text("1"), 20))
	for i := range 20 {
		c.expectText(strconv.Itoa(i + 1))
	}
}
