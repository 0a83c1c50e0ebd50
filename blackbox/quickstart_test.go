package blackbox

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// quickStart is the section of the README that adds to an existing site.
const quickStart = "## Quick start on an existing site"

// fenced are the blocks of a language below a heading of the README.
func fenced(t *testing.T, heading, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n"+heading+"\n")
	section, _, _ := strings.Cut(after, "\n## ")
	for i, part := range strings.Split(section, "\n```") {
		if block, isIt := strings.CutPrefix(part, language+"\n"); isIt && i%2 == 1 {
			blocks = append(blocks, block)
		}
	}
	return blocks
}

// site is the existing site with what the quick start adds to it.
func site(t *testing.T, folder string) string {
	t.Helper()
	blocks := fenced(t, quickStart, "")
	if len(blocks) != 3 {
		t.Fatalf("there are %d Caddyfiles, not the site, a counter and a chat", len(blocks))
	}
	existing, isSite := strings.CutSuffix(blocks[0], "}")
	if !isSite {
		t.Fatalf("this is no site: %s", blocks[0])
	}
	return "GLOBAL\n\t\tadmin 127.0.0.1:OTHERPORT\nEND\n" + strings.NewReplacer(
		"example.com {", ":PORT {",
		"/srv", folder,
		"<hash>", "$2a$04$yuFwvUiSF/btYJNawoCcA.z5X/Yn06qKWrV8/SIFDcSS4vkfUWGKm", // of secret
	).Replace(existing+strings.Join(blocks[1:], "\n")+"\n}")
}

// here replaces the names in a command by where the server is.
func (s *server) here(command string) string {
	return strings.NewReplacer(
		"https://example.com", "http://localhost:"+strconv.Itoa(s.Port),
		"//example.com", "//localhost:"+strconv.Itoa(s.Port),
		"localhost:2019", "127.0.0.1:"+strconv.Itoa(s.OtherPort),
	).Replace(command)
}

// Each snippet of the quick start is short, and does on a site with passwords what stands
// beside it.
func TestReadmeQuickStart(t *testing.T) {
	need(t, "curl")
	for _, language := range []string{"console", "html", "crontab"} {
		for _, block := range fenced(t, quickStart, language) {
			if strings.Count(block, "\n") >= 5 {
				t.Errorf("this has more than five lines:\n%s", block)
			}
		}
	}
	s := start(t, site(t, t.TempDir()))
	bob := dialWith(t, websocket.DefaultDialer, "ws://localhost:"+strconv.Itoa(s.Port)+"/chat", basicAuth("bob", "secret"))
	jobs := fenced(t, quickStart, "crontab")
	if len(jobs) != 1 {
		t.Fatalf("there are %d crontabs", len(jobs))
	}
	job := regexp.MustCompile(`^(\S+ ){5}`).ReplaceAllString(s.here(jobs[0]), "")
	if output, err := exec.Command("sh", "-c", job).CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("cron would report %q, %v", output, err)
	}
	if _, message, err := bob.ReadMessage(); err != nil || !regexp.MustCompile(`^cron: load \d+\.\d\d$`).Match(message) {
		t.Errorf("bob was told %q, %v", message, err)
	}
	commands := readSamples(t, strings.Join(fenced(t, quickStart, "console"), "\n"))
	if len(commands) != 4 {
		t.Fatalf("there are %d commands", len(commands))
	}
	for _, sample := range commands {
		for i, line := range sample.prints {
			sample.prints[i] = s.here(line) // the name of a room has the host
		}
		t.Run(sample.command, func(t *testing.T) { sample.check(t, s.here(sample.command)) })
	}
	bob.expectClose(1008)
	s.refuses(t, 403, "/chat", basicAuth("bob", "secret"))
	s.refuses(t, 401, "/visits")
}
