package caddyws

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "write what the golden files of testdata should hold")

// separator stands between a Caddyfile and what comes of it.
const separator = "\n----------\n"

// Each form of the directive and of the global block has a golden pair.
func TestCaddyfileAdapts(t *testing.T) {
	goldenPairs(t, "testdata/caddyfile/*.caddyfiletest", func(t *testing.T, input string) string {
		adapted, err := adapt(input)
		if err != nil {
			t.Fatal(err)
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, adapted, "", "\t"); err != nil {
			t.Fatal(err)
		}
		return pretty.String()
	})
}

// Each error has a golden pair, with its whole text: what is unknown or wrong is
// never silently passed over.
func TestCaddyfileErrors(t *testing.T) {
	goldenPairs(t, "testdata/caddyfile_errors/*.caddyfiletest", func(t *testing.T, input string) string {
		adapted, err := adapt(input)
		if err == nil {
			t.Fatalf("no error, but %s", adapted)
		}
		return withoutTestModules(err.Error())
	})
}

// goldenPairs compares what got makes of the first half of each file with its
// second half.
func goldenPairs(t *testing.T, pattern string, got func(*testing.T, string) string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(text), separator)
			got := got(t, input+"\n")
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want = strings.TrimSuffix(want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func adapt(config string) ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	return adapted, err
}

// The modules that the tests register stand in the lists of modules, behind
// the others.
var testModules = regexp.MustCompile(`, test_\w+`)

func withoutTestModules(text string) string { return testModules.ReplaceAllString(text, "") }

// Caddyfiles in testdata are as `caddy fmt` writes them, so that they can be
// copied from.
func TestCaddyfilesAreFormatted(t *testing.T) {
	files, err := filepath.Glob("testdata/caddyfile/*.caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "Caddyfile.example") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		input, _, golden := strings.Cut(string(text), separator)
		if golden {
			input += "\n"
		}
		if want := string(caddyfile.Format([]byte(input))); input != want {
			t.Errorf("%s is not formatted, want:\n%s", file, want)
		}
	}
}
