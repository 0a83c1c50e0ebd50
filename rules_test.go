package caddyws

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The rules of the repository that a compiler does not check.

const modulePath = "github.com/caddyws/caddy-websocket"

// listed is what `go list` says of a package.
type listed struct {
	ImportPath, Dir, Doc string
	Standard             bool
	Imports, Deps        []string
}

// list returns all packages of the module by their folder.
func list(t *testing.T) map[string]listed {
	t.Helper()
	output, err := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Standard,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := make(map[string]listed)
	for d := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages[strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, modulePath), "/")] = p
	}
	if len(packages) < 10 {
		t.Fatalf("%d packages", len(packages))
	}
	return packages
}

// Imports that a package must not have, itself or through others.
var bans = []struct{ folder, banned, reason string }{
	{"apps", "github.com/caddyserver/", "the contract of an app is to be implemented and tested without a web server"},
	{"aggregate", "github.com/caddyserver/", "arithmetic knows nothing of its use"},
	{"frames", "github.com/caddyserver/", "the codec knows nothing of its use"},
	{"socket", "github.com/caddyserver/", "a connection is tested over net/http, and Caddy's types are reached through its interfaces"},
	{"hub", "github.com/caddyserver/", "rooms outlive configurations, so they can have nothing of one"},
	{"room", modulePath + "/hub", "the hub is above its rooms"},
	{"room", modulePath + "/handshake", "who is in a room has been let in"},
	{"hub", modulePath + "/handshake", "who comes to the hub has been let in"},
	{"route", modulePath + "/room", "rooms hold routes, not the other way round"},
	{"replica", modulePath + "/room", "the room is above what is stored of it"},
	{"message", modulePath + "/room", "rooms speak by messages"},
	{"engines", "github.com/caddyserver/", "the contract of an engine is to be implemented without a web server"},
	{"frames", "github.com/gorilla/", "gorilla is the oracle of its tests"},
	{"socket", "github.com/gorilla/", "gorilla is the oracle of its tests"},
	{"hub", modulePath + "/apps/", "the hub knows the contract, not the apps"},
	{"hub", modulePath + "/engines/", "the hub knows the contract, not the engines"},
	{"hub", modulePath + "/options", "configuration is the root's"},
	{"socket", modulePath + "/hub", "a connection knows nothing of rooms"},
	{"socket", modulePath + "/handshake", "a connection begins when its handshake is over"},
	{"handshake", "github.com/gorilla/", "gorilla is the oracle of its tests"},
	{"handshake", modulePath + "/socket", "a handshake is over when a connection begins"},
	{"handshake", modulePath + "/hub", "a handshake knows nothing of rooms"},
	{"socket", modulePath + "/apps", "a connection knows nothing of apps"},
	{"replica", modulePath + "/socket", "what is stored knows no connections"},
	{"replica", modulePath + "/frames", "what is stored knows no connections"},
	{"replica", modulePath + "/hub", "the hub is above its rooms"},
	{"message", modulePath + "/apps", "messages are bytes when they come here"},
	{"message", modulePath + "/socket", "connections take messages, not the other way round"},
	{"message", modulePath + "/hub", "rooms speak by messages"},
	{"apps", modulePath + "/", "everything imports the contract"},
	{"engines", modulePath + "/", "the hub and all engines import the contract"},
	{"aggregate", modulePath + "/", "values in, values out"},
	{"aggregate", "net", "arithmetic does no I/O"},
	{"aggregate", "time", "arithmetic has no clock: states must come out the same everywhere"},
	{"frames", modulePath + "/", "bytes in, bytes out"},
	{"frames", "net", "the codec does no I/O"},
	{"options", modulePath + "/", "apps of other modules use it"},
	{"page", "github.com/", "the page is an embedded file"},
	{"cmd/caddy", "github.com/nats-io/nats-server/", "the server of NATS is for tests: it would make the binary larger by a sixth"},
	{"hub", "github.com/nats-io/", "the hub knows the contract, not the engines"},
	{"client", modulePath + "/", "a client knows a URL, not the server behind it"},
	{"client", "github.com/caddyserver/", "a client knows a URL, not the server behind it"},
	{"client/connect", "github.com/caddyserver/", "a client knows a URL, not the server behind it"},
	{"client/connect", modulePath + "/frames", "this module is not to be judged by its own code"},
	{"client/measure", "github.com/caddyserver/", "a client knows a URL, not the server behind it"},
	{"client/measure", modulePath + "/frames", "this module is not to be judged by its own code"},
	{"tally", modulePath + "/", "everything that counts imports it"},
}

// Imports that a package must not have itself.
var directBans = []struct{ folder, banned, reason string }{
	{"room", modulePath + "/socket", "a room speaks to connections through an interface of its own"},
	{"room", "net/http", "statuses are the root's"},
}

func TestBannedDirectImports(t *testing.T) {
	packages := list(t)
	for _, ban := range directBans {
		if slices.Contains(packages[ban.folder].Imports, ban.banned) {
			t.Errorf("%s imports %s, which is banned: %s", ban.folder, ban.banned, ban.reason)
		}
	}
}

func TestBannedImports(t *testing.T) {
	packages := list(t)
	for _, ban := range bans {
		p, ok := packages[ban.folder]
		if !ok && ban.folder != "page" { // not there yet
			t.Errorf("there is no package %s", ban.folder)
		}
		for _, imported := range p.Deps {
			if isBanned(imported, ban.banned) && imported != p.ImportPath && !allowedBelow(ban.folder, imported) {
				t.Errorf("%s imports %s, which is banned: %s", ban.folder, imported, ban.reason)
			}
		}
	}
	if p := packages["hub"]; slices.Contains(p.Deps, modulePath) {
		t.Error("hub imports the root")
	}
}

// isBanned reports whether a path is the banned one or begins with it.
func isBanned(path, banned string) bool {
	return path == banned || strings.HasPrefix(path, banned) && strings.HasSuffix(banned, "/")
}

// allowedBelow tells what a library needs for itself.
func allowedBelow(folder, path string) bool {
	return folder == "aggregate" && path == "time" || // fmt and apd's SQL types need it
		folder == "page" && path == modulePath+"/client/browser" // a file, too
}

// The only modules that a package may import itself, beside the standard library
// and those of this module.
var allowed = map[string][]string{
	"client":         {"github.com/gorilla/websocket", "github.com/spf13/cobra", "golang.org/x/net/http/httpguts", "golang.org/x/term"},
	"client/connect": {"github.com/dustin/go-humanize", "github.com/gorilla/websocket", "github.com/spf13/cobra", "golang.org/x/term"},
	"client/measure": {"github.com/HdrHistogram/hdrhistogram-go", "github.com/dustin/go-humanize", "github.com/gorilla/websocket", "github.com/spf13/cobra", "golang.org/x/term"},

	"apps":      {},
	"engines":   {},
	"aggregate": {"github.com/cockroachdb/apd/v3"},
	"frames":    {"github.com/klauspost/compress/flate"},
	"socket":    {"golang.org/x/sys/unix", "golang.org/x/time/rate"},
	"handshake": {},
	"message":   {},
	"replica":   {},
	"tally":     {},
	"route":     {},
	"room":      {"go.uber.org/zap"},
	"hub":       {"go.uber.org/zap", "go.uber.org/zap/zapcore", "golang.org/x/sync/errgroup", "golang.org/x/sync/singleflight"},
}

func TestAllowedImports(t *testing.T) {
	packages := list(t)
	for folder, allowed := range allowed {
		for _, imported := range packages[folder].Imports {
			first, _, _ := strings.Cut(imported, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(imported, modulePath) && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s, allowed are %q", folder, imported, allowed)
			}
		}
	}
}

// Imports within the module go one way: from the root down.
func TestNobodyImportsTheRoot(t *testing.T) {
	for folder, p := range list(t) {
		if folder != "" && folder != "cmd/caddy" && !strings.HasPrefix(folder, "examples/") && slices.Contains(p.Deps, modulePath) {
			t.Errorf("%s imports the root", folder)
		}
		if strings.HasPrefix(folder, "apps/") && !strings.HasSuffix(folder, "test") { // appstest runs apps in a hub
			for _, dep := range p.Deps {
				if strings.HasPrefix(dep, modulePath+"/hub") || strings.HasPrefix(dep, modulePath+"/room") || strings.HasPrefix(dep, modulePath+"/socket") {
					t.Errorf("%s imports %s: an app knows its contract only", folder, dep)
				}
			}
		}
	}
}

// A package is understood from its comment, which says more than its name.
func TestEveryPackageHasAComment(t *testing.T) {
	for folder, p := range list(t) {
		if doc := p.Doc; !strings.HasPrefix(doc, "Package ") && !strings.HasPrefix(doc, "Command ") {
			t.Errorf("package %q has the comment %q", folder, doc)
		}
	}
}

// The comment stands in one file only, else go doc shows whichever comes last.
func TestOnePackageComment(t *testing.T) {
	for folder, p := range list(t) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		var with []string
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Doc != nil {
				with = append(with, filepath.Base(file))
			}
		}
		if len(with) > 1 {
			t.Errorf("package %q has its comment in %q", folder, with)
		}
	}
}

// A promise is held by a test that exists.
func TestPromisesAreHeld(t *testing.T) {
	promises, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(promises, -1)
	if len(named) < 50 {
		t.Fatalf("%d tests are named", len(named))
	}
	tests := allTests(t)
	for _, name := range named {
		if !strings.Contains(tests, "\nfunc "+string(name[1])+"(t *testing.T)") {
			t.Errorf("there is no %s", name[1])
		}
	}
}

// allTests returns the source of all tests.
func allTests(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, p := range list(t) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(source)
		}
	}
	return all.String()
}

// A folder is called what it is about, and is found in two steps.
func TestFolders(t *testing.T) {
	meaningless := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib", "pkg", "internal", "manager", "data", "info", "types", "base"}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || path == "." {
			return err
		}
		if name := entry.Name(); strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" {
			return filepath.SkipDir
		}
		if slices.Contains(meaningless, strings.ToLower(entry.Name())) {
			t.Errorf("%s says nothing", path)
		}
		if strings.Count(path, string(filepath.Separator)) > 1 && !strings.HasPrefix(path, "examples") { // some are programs of their own
			t.Errorf("%s is more than two levels deep", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// CONTRIBUTING.md names files that exist.
func TestContributingNamesFiles(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([a-z_/]+\\.(?:go|md))`").FindAllSubmatch(text, -1)
	if len(names) < 20 {
		t.Errorf("it names %d files", len(names))
	}
	for _, name := range names {
		if _, err := os.Stat(string(name[1])); err != nil {
			t.Error(err)
		}
	}
}
