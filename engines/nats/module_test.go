package nats

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestCaddyfilesThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		`nats`:                                  "needs the URL",
		`nats ""`:                               "is empty",
		"nats a {\n bucket\n}":                  "bucket",
		"nats a {\n bucket a b\n}":              "unexpected argument",
		"nats a {\n replicas 2\n}":              "one of 1, 3, 5",
		"nats a {\n replicas\n}":                "one of 1, 3, 5",
		"nats a {\n creds\n}":                   "creds",
		"nats a {\n required yes\n}":            "unexpected argument",
		"nats a {\n tls on\n}":                  "unexpected argument",
		"nats a {\n tls {\n insecure\n}\n}":     "unknown option",
		"nats a {\n tls {\n ca\n}\n}":           "ca",
		"nats a {\n tls {\n ca a\n ca b\n}\n}":  "twice",
		"nats a {\n monitor x\n}":               "unknown option",
		"nats a {\n required\n required\n}":     "twice",
		"nats a {\n bucket x {\n y\n}\n}":       "",
		"nats a b {\n replicas 3\n replicas 3}": "twice",
	} {
		err := new(Opener).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// provision has Caddy's steps done to a configuration.
func provision(o *Opener) error {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	if err := o.Provision(ctx); err != nil {
		return err
	}
	return o.Validate()
}

func TestOptionsThatAreWrong(t *testing.T) {
	many := make([]string, maxURLs+1)
	for i := range many {
		many[i] = "a"
	}
	one := []string{"nats://secret@a"}
	for want, o := range map[string]*Opener{
		"0 urls":                    {},
		"65 urls":                   {URLs: many},
		"url 2: it is not a URL":    {URLs: []string{"a", "nats://secret:x@:4222"}},
		"url 1: it is not a URL":    {URLs: []string{"nats://secret:%zz@a"}},
		`its scheme is "http"`:      {URLs: []string{"http://secret@a"}},
		"a path, a query":           {URLs: []string{"nats://secret@a/b"}},
		"a query":                   {URLs: []string{"wss://secret@a/b?c"}},
		"a comma or a blank":        {URLs: []string{"nats://secret@a,b"}},
		"stands for nothing":        {URLs: []string{"{env.NATS_TEST_NOTHING}"}},
		`bucket "a.b"`:              {URLs: one, Bucket: "a.b"},
		`bucket "secret bucket"`:    {URLs: one, Bucket: "secret bucket"},
		`prefix "a..b"`:             {URLs: one, Prefix: "a..b"},
		`prefix "a.>"`:              {URLs: one, Prefix: "a.>"},
		"characters at most":        {URLs: one, Prefix: strings.Repeat("x", maxPrefix+1)},
		"replicas is 2":             {URLs: one, Replicas: 2},
		"replicas is -1":            {URLs: one, Replicas: -1},
		"cert and key, or neither":  {URLs: one, TLS: &TLS{Cert: "a"}},
		"cert and key, or neither.": {URLs: one, TLS: &TLS{Key: "a"}},
	} {
		err := provision(o)
		if err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(want, ".")) {
			t.Errorf("%v, want %s", err, want)
		} else if text := err.Error(); strings.Contains(text, "secret") && o.Bucket == defaultBucket {
			t.Errorf("it tells the secret: %s", text)
		}
	}
	for _, text := range []string{"a", "a:1", "nats://a", "tls://u:p@a:1", "ws://a/path", "wss://a", "nats://[::1]:4222", "nats://a/"} {
		if err := provision(&Opener{URLs: []string{text}}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestPlaceholdersAreReplaced(t *testing.T) {
	t.Setenv("NATS_TEST_URL", "nats://u:p@10.0.0.1:4222")
	t.Setenv("NATS_TEST_FILE", "/file")
	o := &Opener{URLs: []string{"{env.NATS_TEST_URL}"}, Creds: "{env.NATS_TEST_FILE}", TLS: &TLS{CA: "{env.NATS_TEST_FILE}"}}
	if err := provision(o); err != nil {
		t.Fatal(err)
	}
	if o.URLs[0] != "nats://u:p@10.0.0.1:4222" || o.Creds != "/file" || o.TLS.CA != "/file" || o.Bucket != defaultBucket {
		t.Errorf("%+v", o)
	}
}

// A reload that changes how to connect, or to what, opens another engine.
func TestIdentityIsThatOfTheConnection(t *testing.T) {
	base := Opener{URLs: []string{"nats://user:secret@a:1"}, Bucket: "b"}
	seen := map[string]string{base.Identity(): "base"}
	for name, change := range map[string]func(o *Opener){
		"url":      func(o *Opener) { o.URLs = []string{"nats://user:secret@b:1"} },
		"password": func(o *Opener) { o.URLs = []string{"nats://user:secret2@a:1"} },
		"bucket":   func(o *Opener) { o.Bucket = "c" },
		"replicas": func(o *Opener) { o.Replicas = 3 },
		"prefix":   func(o *Opener) { o.Prefix = "p" },
		"creds":    func(o *Opener) { o.Creds = "file" },
		"tls":      func(o *Opener) { o.TLS = &TLS{} },
		"ca":       func(o *Opener) { o.TLS = &TLS{CA: "file"} },
	} {
		o := base
		change(&o)
		id := o.Identity()
		if other := seen[id]; other != "" {
			t.Errorf("%s has the identity of %s", name, other)
		}
		if strings.Contains(id, "secret") {
			t.Errorf("the identity has the secret: %s", id)
		}
		seen[id] = name
	}
	required := base
	required.Required = true
	if required.Identity() != base.Identity() {
		t.Error("required is part of the identity")
	}
	var back Opener
	p, err := json.Marshal(base)
	if err != nil || json.Unmarshal(p, &back) != nil || back.Identity() != base.Identity() {
		t.Errorf("from JSON: %s, %v", p, err)
	}
}

// Files that are not there are for somebody to mend: Caddy does not start without.
func TestFilesThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	missing, wrong := filepath.Join(dir, "missing"), filepath.Join(dir, "wrong")
	if err := os.WriteFile(wrong, []byte("nothing in PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := startServer(t, serverOptions(t)).ClientURL()
	for want, o := range map[string]*Opener{
		"creds: ":        {Creds: missing},
		"tls: ":          {TLS: &TLS{CA: missing}},
		"no certificate": {TLS: &TLS{CA: wrong}},
		"tls: tls":       {TLS: &TLS{Cert: wrong, Key: wrong}},
	} {
		o.URLs, o.Bucket = []string{url}, newBucket()
		if _, err := o.Open(bounded(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A wrong password is told, and may be right later: the servers may be what is wrong.
func TestAPasswordThatIsWrong(t *testing.T) {
	o := serverOptions(t)
	o.Username, o.Password = "user", "right"
	s := startServer(t, o)
	address := s.Addr().String()
	if _, err := (&Opener{URLs: []string{"nats://user:wrong@" + address}, Bucket: newBucket()}).Open(bounded(t)); err == nil ||
		!strings.Contains(strings.ToLower(err.Error()), "authorization") || strings.Contains(err.Error(), "wrong") {
		t.Error(err)
	}
	openEngine(t, &Opener{URLs: []string{"nats://user:right@" + address}, Bucket: newBucket()})
}
