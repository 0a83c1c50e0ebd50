package blackbox

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait; only a failing test comes so far.
const patience = time.Minute

// workshop is the folder that the binary is built in.
var workshop string

func TestMain(m *testing.M) {
	if address := os.Getenv(crowdAddress); address != "" {
		beCrowd(address)
	}
	if spec := os.Getenv(readerOf); spec != "" {
		beReader(spec)
	}
	if spec := os.Getenv(guestsOf); spec != "" {
		beGuests(spec)
	}
	if spec := os.Getenv(throngOf); spec != "" {
		beThrong(spec)
	}
	if spec := os.Getenv(natsOf); spec != "" {
		beNATS(spec)
	}
	var err error
	if workshop, err = os.MkdirTemp("", "blackbox"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(workshop)
	os.Exit(code)
}

// This package knows nothing of the inside.
func TestImportsNothingOfTheModule(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range parsed.Imports {
			if strings.Contains(imported.Path.Value, "caddy-websocket") || strings.Contains(imported.Path.Value, "caddyserver") {
				t.Errorf("%s imports %s", file, imported.Path.Value)
			}
		}
	}
}

// caddy returns the binary that is tested. The first call makes it, with the race
// detector if the tests have it.
var caddy = sync.OnceValues(func() (string, error) {
	if made := os.Getenv("BLACKBOX_CADDY"); made != "" {
		return made, nil
	}
	if err := lookAtSources(); err != nil {
		return "", err
	}
	binary := filepath.Join(workshop, "caddy")
	args := []string{"build", "-buildvcs=false", "-o", binary}
	if race {
		args = append(args, "-race")
	}
	if output, err := exec.Command("go", append(args, "../cmd/caddy")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Caddy: %w\n%s", err, output)
	}
	return binary, nil
})

// lookAtSources opens every folder of the module. go test, which knows nothing of
// what goes into the binary, caches a result for as long as all that the tests
// have opened is as it was. (What TestMain opens before Run does not count.)
func lookAtSources() error {
	return filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || !entry.IsDir():
			return err
		case entry.Name() == ".git" || entry.Name() == "node_modules":
			return fs.SkipDir
		}
		folder, err := os.Open(path)
		if err != nil {
			return err
		}
		return folder.Close()
	})
}

// server is a running Caddy.
type server struct {
	t         *testing.T
	dir       string // everything it writes
	process   *exec.Cmd
	ended     chan struct{} // closed when the process has
	err       error         // how it did
	log       *lines
	stopped   *sync.Once
	tolerates []string // what lines of the log may have that else must not be there

	Port, TLSPort, OtherPort int
}

// start runs Caddy with a Caddyfile, which may begin with global options between
// GLOBAL and END. PORT, TLSPORT and OTHERPORT in it are free ports.
func start(t *testing.T, config string) *server {
	t.Helper()
	for range 5 {
		if s := tryStart(t, config); s != nil {
			t.Cleanup(s.stop)
			return s
		}
	}
	t.Fatal("there is no free port")
	return nil
}

// tryStart is start, but returns nil if somebody else took one of the ports
// first.
func tryStart(t *testing.T, config string) *server {
	t.Helper()
	s := prepare(t, config)
	if s.run(t) {
		return s
	}
	if s.log.has("address already in use") {
		return nil
	}
	t.Fatalf("Caddy did not start:\n%s", s.log)
	return nil
}

// prepare makes all that Caddy needs to be run.
func prepare(t *testing.T, config string) *server {
	t.Helper()
	ports := freePorts(3)
	s := &server{t: t, dir: t.TempDir(), Port: ports[0], TLSPort: ports[1], OtherPort: ports[2]}
	s.configure(t, config)
	return s
}

// configFile is what Caddy reads when it starts or is told to reload.
func (s *server) configFile() string { return filepath.Join(s.dir, "Caddyfile") }

func (s *server) configure(t *testing.T, config string) {
	t.Helper()
	if err := os.WriteFile(s.configFile(), []byte(s.caddyfile(config)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run starts the process, as an argument of another command if one is given, and
// reports whether it serves: else it has ended.
func (s *server) run(t *testing.T, through ...string) bool {
	t.Helper()
	s.process = s.command(t, through, "run", "--adapter", "caddyfile", "--config", s.configFile())
	s.ended, s.stopped, s.log = make(chan struct{}), new(sync.Once), &lines{changed: make(chan struct{})}
	s.process.Stdout, s.process.Stderr = s.log, s.log
	dieTogether(s.process)
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, ended, log := s.process, s.ended, s.log
	go func() {
		s.err = process.Wait()
		log.Write([]byte("the process has ended\n"))
		close(ended)
	}()
	line := s.log.wait(t, "serving initial configuration", "the process has ended")
	return strings.Contains(line, "serving initial configuration")
}

// command is one that Caddy knows, as an argument of another command if one is
// given. It uses the server's folder.
func (s *server) command(t *testing.T, through []string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := caddy()
	if err != nil {
		t.Fatal(err)
	}
	words := slices.Concat(through, []string{binary}, args)
	command := exec.Command(words[0], words[1:]...)
	command.Env = append(os.Environ(), "HOME="+s.dir, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, endsAtOnce())
	return command
}

// endsAtOnce has a process with the race detector not wait for a second at its end, as it
// otherwise does.
func endsAtOnce() string { return "GORACE=atexit_sleep_ms=0 " + os.Getenv("GORACE") }

// caddyfile completes a Caddyfile.
func (s *server) caddyfile(config string) string {
	own := ""
	if before, after, ok := strings.Cut(config, "END\n"); ok {
		own, config = strings.TrimPrefix(strings.TrimSpace(before), "GLOBAL"), after
	}
	return strings.NewReplacer(
		"TLSPORT", strconv.Itoa(s.TLSPort),
		"OTHERPORT", strconv.Itoa(s.OtherPort),
		"PORT", strconv.Itoa(s.Port),
	).Replace(`{
		admin off
		persist_config off
		skip_install_trust
		auto_https disable_redirects
		https_port TLSPORT
		storage file_system ` + s.dir + own + "\n}\n" + config)
}

// terminate tells Caddy to end, as a service manager does.
func (s *server) terminate() {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
}

// stop ends Caddy and looks at what it leaves.
func (s *server) stop() {
	s.stopped.Do(func() {
		s.terminate()
		select {
		case <-s.ended:
		case <-time.After(patience):
			s.process.Process.Kill()
			<-s.ended
			s.t.Error("Caddy did not end on SIGTERM")
		}
		if s.err != nil {
			s.t.Errorf("Caddy ended with %v", s.err)
		}
		s.checkLog()
	})
}

// never is what no log may show.
var never = []string{"panic", "DATA RACE", "fatal error", `"level":"error"`}

// others is what stands in lines that are none of ours: a certificate is being
// made when Caddy is told to end, or Caddy says that it has answered 503.
var others = []string{`"logger":"tls`, `"lock_key"`, `"status":503`}

// checkLog fails the test if the log shows what must never happen.
func (s *server) checkLog() {
	for line := range strings.Lines(s.log.String()) {
		in := func(text string) bool { return strings.Contains(line, text) }
		for _, text := range never {
			if in(text) && !slices.ContainsFunc(others, in) && !slices.ContainsFunc(s.tolerates, in) {
				s.t.Errorf("the log has %q:\n%s", text, s.log)
				return
			}
		}
	}
}

// freePorts returns ports that were free a moment ago, none of which is given to outgoing
// connections, or refused by browsers (10080).
func freePorts(n int) (ports []int) {
	for len(ports) < n {
		port := 11_000 + rand.IntN(21_768)
		if l, err := net.Listen("tcp", ":"+strconv.Itoa(port)); err == nil {
			defer l.Close()
			ports = append(ports, port)
		}
	}
	return ports
}

// address is where the server listens.
func (s *server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// url of a path, on the port without TLS.
func (s *server) url(path string) string { return "http://" + s.address() + path }

// tls returns a configuration that trusts the server's `tls internal`, for the
// host localhost. The certificate is made in the background: it waits for it.
func (s *server) tls() *tls.Config {
	s.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		var pem []byte
		if pem, err = os.ReadFile(filepath.Join(s.dir, "pki/authorities/local/root.crt")); err != nil {
			continue
		}
		config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
		config.RootCAs.AppendCertsFromPEM(pem)
		var conn *tls.Conn
		if conn, err = tls.Dial("tcp", s.tlsAddress(), config); err == nil {
			conn.Close()
			return config
		}
	}
	s.t.Fatalf("no TLS: %v\n%s", err, s.log)
	return nil
}

func (s *server) tlsAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.TLSPort))
}

// lines is what a process has printed.
type lines struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed by the next write
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *lines) String() string {
	text, _ := l.snapshot()
	return text
}

func (l *lines) snapshot() (string, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.changed
}

func (l *lines) has(text string) bool { return strings.Contains(l.String(), text) }

// wait returns the first line, now or later, with one of the texts.
func (l *lines) wait(t *testing.T, texts ...string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		all, changed := l.snapshot()
		for line := range strings.Lines(all) {
			for _, text := range texts {
				if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
					return line
				}
			}
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q was not printed, but\n%s", texts, all)
		}
	}
}

// need returns the path of a program, or skips the test.
func need(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, strings.Join(names, " or ")+" is not installed")
	return ""
}

// missing skips a test, except where everything has to be there.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
