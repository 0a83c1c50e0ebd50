package blackbox

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Members that read all the time, each in a process of its own, while somebody
// publishes as fast as the server lets it happen.

const readersConfig = `
(routes) {
	websocket /bystander echo
	websocket /rooms/* {
		app broadcast {
			others
		}
		room {path}
		max_queue 64KiB
	}
	websocket /mine {
		app broadcast
		max_queue 64KiB
	}
}
:PORT {
	import routes
}
localhost:TLSPORT {
	tls internal
	import routes
}`

// readerOf is set where this binary is to be a reader: its transport, the server's
// address and the path.
const readerOf = "BLACKBOX_READER"

// starved is what a reader says that was sent away when it had not been given a processor.
const starved = "starved"

// stall is the longest time for which a process was held up.
type stall struct{ nanoseconds atomic.Int64 }

func watchStall(ctx context.Context) *stall {
	s := new(stall)
	go func() {
		for before := time.Now(); ctx.Err() == nil; before = time.Now() {
			time.Sleep(10 * time.Millisecond)
			s.nanoseconds.Store(max(s.nanoseconds.Load(), int64(time.Since(before))))
		}
	}()
	return s
}

// long reports whether a server, which waits for 150 ms at first, may have given up meanwhile.
func (s *stall) long() bool { return time.Duration(s.nanoseconds.Load()) > 100*time.Millisecond }

// lastMessage is the one after which readers leave.
const lastMessage = "last"

// beReader joins a room, says so, reads to the last message and says how many came.
func beReader(spec string) {
	var transport, address, path string
	fmt.Sscan(spec, &transport, &address, &path)
	runtime.GOMAXPROCS(1) // what holds up the reader holds up its clock
	held := watchStall(context.Background())
	next, err := joinAsReader(transport, address, path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("joined")
	for i := 0; ; i++ {
		text, err := next()
		switch {
		case err != nil && held.long():
			fmt.Println(starved)
			os.Exit(0)
		case err != nil:
			fmt.Printf("%v after %d messages\n", err, i)
			os.Exit(1)
		case text == lastMessage:
			fmt.Printf("got %d\n", i)
			os.Exit(0)
		case !strings.HasPrefix(text, fmt.Sprintf("%06d", i)):
			fmt.Printf("%.20q is message %d\n", text, i)
			os.Exit(1)
		}
	}
}

// joinAsReader joins, and returns a function that waits for the next message.
func joinAsReader(transport, address, path string) (next func() (string, error), err error) {
	var conn net.Conn
	if transport == "wss" {
		conn, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	} else {
		conn, err = net.Dial("tcp", address)
	}
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(conn, 64<<10)
	if transport == "events" {
		// The end of the stream, which has an encoding that is not read here, is that of the connection.
		io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+wantsEvents+"\r\n\r\n")
		return func() (string, error) { return nextData(r) }, readTo(r, ":\n")
	}
	io.WriteString(conn, handshake(path)+ping("served"))
	if err := readTo(r, "\r\n"); err != nil {
		return nil, err
	}
	if _, err := readFrame(r); err != nil {
		return nil, err
	}
	return func() (string, error) { return nextText(conn, r) }, nil
}

// readTo reads lines up to this one.
func readTo(r *bufio.Reader, line string) error {
	for {
		if got, err := r.ReadString('\n'); err != nil || got == line {
			return err
		}
	}
}

// nextData returns the data of the next event of one line.
func nextData(r *bufio.Reader) (string, error) {
	for {
		line, err := r.ReadString('\n')
		if data, ok := strings.CutPrefix(line, "data: "); ok || err != nil {
			return strings.TrimSuffix(data, "\n"), err
		}
	}
}

// nextText returns the next text message and answers pings.
func nextText(conn net.Conn, r *bufio.Reader) (string, error) {
	for {
		f, err := readFrame(r)
		switch {
		case err != nil:
			return "", err
		case f.op == opPing:
			io.WriteString(conn, pong(f.payload))
		case f.op == opClose:
			return "", fmt.Errorf("closed with %q", f.payload)
		default:
			return f.payload, nil
		}
	}
}

// reader is a process that reads.
type reader struct {
	process *exec.Cmd
	says    *bufio.Reader
}

// startReader starts a process, which joins.
func startReader(t *testing.T, process *exec.Cmd) *reader {
	t.Helper()
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	process.Stderr = os.Stderr
	dieTogether(process)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
	})
	return &reader{process, bufio.NewReader(out)}
}

// reader starts a reader of the tests' own.
func (s *server) reader(t *testing.T, transport, path string) *reader {
	t.Helper()
	address := s.address()
	if transport == "wss" {
		address = s.tlsAddress()
	}
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), readerOf+"="+strings.Join([]string{transport, address, path}, " "))
	return startReader(t, process)
}

// expect waits for what the reader says next: one of these.
func (r *reader) expect(t *testing.T, want ...string) string {
	t.Helper()
	defer time.AfterFunc(patience, func() { r.process.Process.Signal(syscall.SIGQUIT) }).Stop() // Go prints where it was
	line, err := r.says.ReadString('\n')
	if line = strings.TrimSuffix(line, "\n"); !slices.Contains(want, line) {
		t.Fatalf("a reader says %q, %v, want %q", line, err, want)
	}
	return line
}

// hasAll waits until the reader has all messages, or was starved.
func (r *reader) hasAll(t *testing.T, messages int) bool {
	t.Helper()
	return r.expect(t, fmt.Sprintf("got %d", messages), starved) != starved
}

// publish sends numbered messages as fast as they are taken, and the last one.
func (c *socket) publish(messages, size int) error {
	all := make([]string, messages, messages+1)
	for i := range all {
		all[i] = text(fmt.Sprintf("%06d", i) + strings.Repeat(".", size-6))
	}
	for _, m := range append(all, text(lastMessage)) {
		if _, err := io.WriteString(c, m); err != nil {
			return err
		}
	}
	return nil
}

// A member that reads gets everything, however small the queue. A member that takes
// nothing and one that takes a trickle change nothing for the others.
func TestReadersAreNotClosed(t *testing.T) {
	many := map[bool]int{false: 100, true: 20}[race]
	s := besiege(t, readersConfig)
	s.tls()
	for _, test := range []struct {
		transport         string
		readers, messages int
	}{{"ws", 1, 512}, {"ws", 10, 256}, {"ws", many, 64}, {"wss", 10, 128}, {"events", 10, 128}} {
		t.Run(fmt.Sprint(test.readers, " over ", test.transport), func(t *testing.T) {
			retry(t, func(n int) bool {
				path := fmt.Sprintf("/rooms/%d-%s-%d", test.readers, test.transport, n)
				return s.readersHaveAll(t, test.transport, path, test.readers, test.messages)
			})
		})
	}
}

// readersHaveAll reports whether all readers got all messages of 64 KiB, and none was starved.
func (s *siege) readersHaveAll(t *testing.T, transport, path string, n, messages int) bool {
	t.Helper()
	var readers []*reader
	for range n {
		readers = append(readers, s.reader(t, transport, path))
	}
	for _, r := range readers {
		r.expect(t, "joined")
	}
	members := s.upgraded(t, 3, nil, path)
	publisher, trickling := members[0], members[2] // the other one takes nothing
	go trickle(trickling)
	begin := time.Now()
	if err := publisher.publish(messages, 64<<10); err != nil {
		t.Fatal(err)
	}
	whole := true
	for _, r := range readers {
		whole = r.hasAll(t, messages) && whole
	}
	t.Logf("%d messages of 64 KiB have taken %v", messages, time.Since(begin))
	return whole
}

// trickle reads 5 KB a second.
func trickle(c *socket) {
	p := make([]byte, 100)
	for {
		if _, err := c.Read(p); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A publisher that is sent its own messages, too, gets all of them.
func TestAPublisherThatReadsIsNotClosed(t *testing.T) {
	retry(t, func(int) bool { return publisherHasAll(t, 4000, 8<<10) })
}

// publisherHasAll reports whether a publisher and a reader got all messages, and none was starved.
func publisherHasAll(t *testing.T, messages, size int) bool {
	t.Helper()
	s := start(t, readersConfig)
	r := s.reader(t, "ws", "/mine")
	r.expect(t, "joined")
	held := watchStall(t.Context())
	publisher := s.connect(t)
	publisher.join("/mine")
	go publisher.publish(messages, size)
	for i := range messages {
		f, err := readFrame(publisher.r)
		if (err != nil || f.op == opClose) && held.long() {
			return false
		}
		if err != nil || !strings.HasPrefix(f.payload, fmt.Sprintf("%06d", i)) {
			t.Fatalf("got %.40q as message %d, %v", show(f), i, err)
		}
	}
	return r.hasAll(t, messages)
}

const nodeReader = `
const WebSocket = require('ws');
const ws = new WebSocket(process.argv[2]);
let n = 0, stall = 0, before = Date.now();
setInterval(() => {
  const now = Date.now();
  stall = Math.max(stall, now - before);
  before = now;
}, 10);
ws.on('open', () => console.log('joined'));
ws.on('message', data => {
  if (data.length === 4) {
    console.log('got ' + n);
    process.exit();
  }
  n++;
});
ws.on('close', code => {
  console.log(stall > 100 ? 'starved' : 'closed with ' + code + ' after ' + n + ' messages');
  process.exit();
});
`

// The package ws of npm, which handles one message after another.
func TestNodeReaderIsNotClosed(t *testing.T) {
	node, modules := need(t, "node"), nodeModules(t)
	s := start(t, readersConfig)
	file := filepath.Join(t.TempDir(), "reader.js")
	if err := os.WriteFile(file, []byte(nodeReader), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, test := range map[string]struct{ messages, size int }{"/rooms/small": {4000, 8 << 10}, "/rooms/large": {512, 64 << 10}} {
		retry(t, func(n int) bool {
			room := fmt.Sprint(path, n)
			process := exec.Command(node, file, "ws://"+s.address()+room)
			process.Env = append(os.Environ(), "NODE_PATH="+modules)
			r := startReader(t, process)
			r.expect(t, "joined")
			if err := s.upgraded(t, 1, nil, room)[0].publish(test.messages, test.size); err != nil {
				t.Fatal(err)
			}
			return r.hasAll(t, test.messages)
		})
	}
}
