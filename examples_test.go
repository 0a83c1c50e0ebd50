package caddyws

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// metricNames are the names of all metrics.
func metricNames() (names []string) {
	described := make(chan *prometheus.Desc, 100)
	collector{}.Describe(described)
	close(described)
	for d := range described {
		names = append(names, regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1])
	}
	return names
}

// Every query of the dashboard names metrics that there are, and every metric is shown.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("examples/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	names, shown := metricNames(), make(map[string]bool)
	series := regexp.MustCompile(`\bcaddy_websocket_\w+`)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			found := series.FindAllString(target.Expr, -1)
			if len(found) == 0 {
				t.Errorf("%s: %q names no metric", panel.Title, target.Expr)
			}
			for _, name := range found {
				bare := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
				if !slices.Contains(names, name) && !slices.Contains(names, bare) {
					t.Errorf("%s: there is no metric %s", panel.Title, name)
				}
				shown[name], shown[bare] = true, true
			}
		}
	}
	for _, name := range names {
		if !shown[name] {
			t.Errorf("%s is not shown", name)
		}
	}
}

// What the compose file mounts is there, and Prometheus asks where Caddy answers.
func TestComposeFile(t *testing.T) {
	const folder = "examples/grafana"
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	mounts := regexp.MustCompile(`- \./([\w./]+):`).FindAllStringSubmatch(read("compose.yaml"), -1)
	if len(mounts) < 3 {
		t.Errorf("%q", mounts)
	}
	for _, mount := range mounts {
		if _, err := os.Stat(filepath.Join(folder, mount[1])); err != nil {
			t.Error(err)
		}
	}
	if _, err := adapt(read("Caddyfile")); err != nil {
		t.Error(err)
	}
	port := regexp.MustCompile(`host\.docker\.internal(:\d+)`).FindStringSubmatch(read("prometheus.yml"))
	if port == nil || !strings.Contains(read("Caddyfile"), "\n"+port[1]+" {\n\tmetrics\n}") {
		t.Errorf("Prometheus asks %q", port)
	}
	uid := `"uid": "prometheus"`
	if !strings.Contains(read("dashboard.json"), uid) || !strings.Contains(read("provisioning/datasources/prometheus.yml"), "uid: prometheus") {
		t.Error("the dashboard has another data source")
	}
}

// What the compose file of the cluster mounts is there, and all that Caddy is given is of use.
func TestClusterFiles(t *testing.T) {
	const folder = "examples/cluster"
	text, err := os.ReadFile(filepath.Join(folder, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	mounts := regexp.MustCompile(`"\./([\w./]+):`).FindAllStringSubmatch(string(text), -1)
	if len(mounts) != 7 {
		t.Errorf("%q", mounts)
	}
	for _, mount := range mounts {
		text, err := os.ReadFile(filepath.Join(folder, mount[1]))
		if err != nil {
			t.Error(err)
		}
		if strings.HasSuffix(mount[1], "Caddyfile") {
			if _, err := adapt(string(text)); err != nil {
				t.Errorf("%s: %v", mount[1], err)
			}
		}
	}
}
