package blackbox

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Eight machines tell a meter how much power they take, one of them ever more. The page
// warns, only that machine is told to shut down, and the alerts end.
func TestExamplePower(t *testing.T) {
	browser := chromium(t)
	need(t, "python3")
	machines, s := buildMachines(t), example(t, "power")
	warning, over := "press-4 takes", "warning is over for press-4"
	greedy, frugal := alertsUntil(s.events(t, "/power?claim=press-4"), over), alertsUntil(s.events(t, "/power?claim=press-1"), over)
	says := startMachines(t, machines, s.address())
	w := openWindow(t, browser, s.url("/power"))
	w.waitFor("state", "Live")
	w.waitFor("name", "Power of all machines")
	shows := func(what, script string) {
		t.Helper()
		until(t, what, func() bool { return w.run("String("+script+")") == "true" })
	}
	shows("eight machines", `document.querySelectorAll("#rows li").length === 8`)
	const maximum = `parseFloat([...document.querySelectorAll("#fields button")].find(b => b.textContent.startsWith("max")).textContent.slice(3))`
	shows("the maximum that rises", maximum+" > 800")
	shows("the warning", `document.getElementById("raised").textContent.includes("warning: press-4")`)
	if line, err := says.ReadString('\n'); line != "press-4 shuts down\n" {
		t.Errorf("the first machine that is told something says %q, %v", line, err)
	}
	shows("no alert any more", `document.getElementById("raised").textContent === ""`)
	shows("the end of the warning", `document.getElementById("alertlist").textContent.includes("warning is over for press-4")`)
	shows("the maximum that has fallen", maximum+" < 900")

	if got := <-greedy; !slices.Equal(got, []string{warning, "shut down", over}) && !slices.Equal(got, []string{warning, "shut down", "overload is over for press-4", over}) {
		t.Errorf("press-4 is told %q", got)
	}
	if got := <-frugal; !slices.Equal(got, []string{warning, over}) {
		t.Errorf("press-1 is told %q", got)
	}
}

// alertsUntil reads alerts up to one, or the end, without the figures in them.
func alertsUntil(e *stream, last string) <-chan []string {
	read := make(chan []string, 1)
	go func() {
		var all []string
		for got, err := e.read(); err == nil && !slices.Contains(all, last); got, err = e.read() {
			if got.name == "event" {
				text, _, takes := strings.Cut(got.data, " takes ")
				if takes {
					text += " takes"
				}
				all = append(all, text)
			}
		}
		read <- all
	}()
	return read
}

// buildMachines builds the machines of the example.
func buildMachines(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "power")
	if out, err := exec.Command("go", "build", "-o", program, "../examples/power").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// startMachines starts the machines, and returns what they say.
func startMachines(t *testing.T, program, address string) *bufio.Reader {
	t.Helper()
	folder, err := filepath.Abs("../examples/power")
	if err != nil {
		t.Fatal(err)
	}
	said, says := io.Pipe()
	c := exec.Command(program, address)
	c.Dir, c.Stderr = folder, says
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		said.Close()
		_ = c.Process.Signal(os.Interrupt) // it may have ended
		_ = c.Wait()
	})
	return bufio.NewReader(said)
}
