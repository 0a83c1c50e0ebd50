package blackbox

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// sample is a command of the README and what it prints. One that is ended with ^C
// prints at least that.
type sample struct {
	command string
	prints  []string
	forEver bool
}

// samples reads the first fenced console block below a heading.
func samples(t *testing.T, file, heading string) []sample {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n"+heading+"\n")
	after, _, _ = strings.Cut(after, "\n## ")
	_, after, _ = strings.Cut(after, "\n```console\n")
	block, _, found := strings.Cut(after, "\n```\n")
	if !found {
		t.Fatalf("%s has no console block under %s", file, heading)
	}
	return readSamples(t, block)
}

// readSamples reads a console block: lines that begin with "$ " are commands.
func readSamples(t *testing.T, block string) (all []sample) {
	t.Helper()
	for line := range strings.SplitSeq(block, "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case isCommand:
			all = append(all, sample{command: command})
		case len(all) == 0:
			t.Fatalf("%q stands before any command", line)
		case line == "^C":
			all[len(all)-1].forEver = true
		default:
			all[len(all)-1].prints = append(all[len(all)-1].prints, line)
		}
	}
	return all
}

var (
	anyEpoch = regexp.MustCompile(`[0-9A-Z]{8}-`)
	anyID    = regexp.MustCompile(`"[A-Z2-7]{12}"`)
	anyTime  = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[0-9:.]+Z"`)
	anySize  = regexp.MustCompile(`(_bytes|"bytes_in|"bytes_out)":\d+`)
	anyPort  = regexp.MustCompile(`//localhost:\d+`)
)

// sampled makes texts the same that differ only in epochs, ids, times, sizes and ports.
func sampled(line string) string {
	line = anyEpoch.ReplaceAllString(masked(strings.TrimRight(line, "\r\n")), "E-")
	line = anyTime.ReplaceAllString(anyID.ReplaceAllString(line, `"I"`), `"T"`)
	return anyPort.ReplaceAllString(anySize.ReplaceAllString(line, `$1":0`), "//localhost:P")
}

// The curl lines of the README's table of transports print what stands there.
func TestReadmeTransports(t *testing.T) { checkSamples(t, "## Transports", 9) }

// So do those of its section on readings.
func TestReadmeMeter(t *testing.T) { checkSamples(t, "### meter", 5) }

// checkSamples runs the commands below a heading of the README, of which there are so many
// or more, against the example.
func checkSamples(t *testing.T, heading string, least int) {
	need(t, "curl")
	config, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, strings.ReplaceAll(string(config), ":8080", ":PORT"))
	all := samples(t, "../README.md", heading)
	if len(all) < least {
		t.Fatalf("there are %d commands", len(all))
	}
	for _, sample := range all {
		t.Run(sample.command, func(t *testing.T) {
			command := strings.ReplaceAll(sample.command, "localhost:8080", "localhost:"+strconv.Itoa(s.Port))
			sample.check(t, command)
		})
	}
}

// The curl lines about the admin API and the metrics print what stands there.
func TestReadmeAdmin(t *testing.T) {
	need(t, "curl")
	config, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, heading := range []string{"### Who is connected", "### Metrics"} {
		s := start(t, "GLOBAL\n\t\tadmin 127.0.0.1:OTHERPORT\nEND\n"+strings.ReplaceAll(string(config), ":8080", ":PORT"))
		c := s.connect(t)
		c.write(strings.Replace(handshake("/chat"), "localhost", "localhost:"+strconv.Itoa(s.Port), 1))
		if a := c.response(); a.status != 101 {
			t.Fatal(a)
		}
		ports := strings.NewReplacer("localhost:8080", "localhost:"+strconv.Itoa(s.Port), "localhost:2019", "127.0.0.1:"+strconv.Itoa(s.OtherPort))
		all := samples(t, "../README.md", heading)
		if len(all) < 3 {
			t.Fatalf("there are %d commands", len(all))
		}
		for _, sample := range all {
			t.Run(sample.command, func(t *testing.T) { sample.check(t, ports.Replace(sample.command)) })
		}
	}
}

// check runs the command as it was completed.
func (s sample) check(t *testing.T, command string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
	output, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(output)
	for _, want := range s.prints {
		got, err := lines.ReadString('\n')
		if sampled(got) != sampled(want) || err != nil && err != io.EOF {
			t.Errorf("printed %q, %v, want %q", got, err, want)
		}
	}
	if s.forEver {
		shell.Process.Kill()
	} else if rest, _ := io.ReadAll(lines); len(rest) > 0 {
		t.Errorf("printed %q more", rest)
	}
	if err := shell.Wait(); err != nil && !s.forEver {
		t.Errorf("the command ended with %v", err)
	}
}
