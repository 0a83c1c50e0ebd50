package caddyws

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The article's client, run with 1 and then with 3, prints 1 and then 4: with
// clients that nobody here wrote.

func TestPythonClient(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which has Debian's packages
	need(t, python, "-c", "import websockets")
	countWith(t, func(url, count string) []string { return []string{python, "testdata/client.py", url, count} })
}

func TestNodeClient(t *testing.T) {
	need(t, "node", "--version")
	need(t, "npm", "--version")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/ws")); err != nil {
		t.Fatal(err)
	}
	need(t, "npm", "ci", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	countWith(t, func(url, count string) []string { return []string{"node", filepath.Join(dir, "client.js"), url, count} })
}

func countWith(t *testing.T, command func(url, count string) []string) {
	s := start(t, ":PORT {\n encode\n log\n websocket sum\n}")
	url := "ws://localhost:" + strconv.Itoa(s.Port) + "/count"
	for _, test := range []struct{ count, total string }{{"1", "1\n"}, {"3", "4\n"}} {
		if got := run(t, command(url, test.count)...); got != test.total {
			t.Errorf("%s was sent and %q printed, want %q", test.count, got, test.total)
		}
	}
	logged.waitAll(t, "two ends", 2, func(e entry) bool {
		return e["msg"] == "connection ended" && e["code"] == 1000.0 && e["by_client"] == true
	})
}

// curl has no need of WebSockets to see what a handshake is answered with.
func TestCurl(t *testing.T) {
	need(t, "curl", "--version")
	s := start(t, ":PORT {\n websocket /echo echo\n websocket /off {\n app echo\n http off\n }\n}\nhttps://localhost:TLSPORT {\n tls CERTIFICATE CERTIFICATE\n websocket echo\n}")
	plain := fmt.Sprintf("http://localhost:%d", s.Port)
	upgrade := []string{
		"--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
		"-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", "Sec-WebSocket-Version: 13",
	}
	for name, test := range map[string]struct {
		url  string
		args []string
		want int
	}{
		"another site's page":  {plain + "/echo", append(upgrade, "-H", "Origin: https://evil.example"), http.StatusForbidden},
		"an old version":       {plain + "/echo", append(upgrade, "-H", "Sec-WebSocket-Version: 8"), http.StatusUpgradeRequired},
		"no upgrade":           {plain + "/off", nil, http.StatusUpgradeRequired},
		"no upgrade, HTTP/2":   {fmt.Sprintf("https://localhost:%d/", s.TLSPort), []string{"--http2", "--cacert", s.certificateFile()}, http.StatusUpgradeRequired},
		"no upgrade, HTTP/1.1": {fmt.Sprintf("https://localhost:%d/", s.TLSPort), []string{"--http1.1", "--cacert", s.certificateFile()}, http.StatusUpgradeRequired},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"curl", "--silent", "--show-error", "--ipv4", "--output", os.DevNull, "--write-out", "%{http_code}"}, test.args...)
			if got := run(t, append(args, test.url)...); got != strconv.Itoa(test.want) {
				t.Errorf("got %s, want %d", got, test.want)
			}
		})
	}
}

// need skips a test whose program does not run, but fails it in CI.
func need(t *testing.T, command ...string) {
	t.Helper()
	output, err := execute(t, command...)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%v: %v\n%s", command, err, output)
	default:
		t.Skipf("%v: %v\n%s", command, err, output)
	}
}

func run(t *testing.T, command ...string) string {
	t.Helper()
	output, err := execute(t, command...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, output)
	}
	return output
}

// execute runs a program, which is ended when it takes too long, and returns
// what it printed: all of it if it failed.
func execute(t *testing.T, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var output, errors strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &errors
	if err := cmd.Run(); err != nil {
		return output.String() + errors.String(), err
	}
	return output.String(), nil
}
