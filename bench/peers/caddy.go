package peers

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy" // a peer
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"               // its certificates
	_ "github.com/caddyserver/caddy/v2/modules/logging"                // its log formats
	_ "github.com/caddyserver/caddy/v2/modules/metrics"                // its metrics

	_ "github.com/caddyws/caddy-websocket" // what is measured
)

func init() { caddy.RegisterModule(gorillaModule{}) }

type object = map[string]any

func serveOurs(addr string, secure *tls.Config) error {
	return serveEngine(addr, secure, object{"name": "memory"})
}

func serveOursMetrics(addr string, secure *tls.Config) error {
	return serveWithMetrics(addr, secure, object{"websocket": object{"engine": object{"name": "memory"}}}, ourRoutes()...)
}

// serveGorillaCaddyMetrics shows what of the cost of metrics is Caddy's own.
func serveGorillaCaddyMetrics(addr string, secure *tls.Config) error {
	return serveWithMetrics(addr, secure, object{}, route("/*", object{"handler": "bench_gorilla"}))
}

// serveWithMetrics is serveCaddy with the option metrics of Caddy, and with somebody who
// reads the metrics once a second, which is often.
func serveWithMetrics(addr string, secure *tls.Config, running object, routes ...object) error {
	go readMetrics(addr, secure != nil)
	running["http"] = object{"metrics": object{}}
	metrics := route(metricsPath, object{"handler": "metrics"})
	return serveCaddy(addr, secure, running, append([]object{metrics}, routes...)...)
}

const metricsPath = "/metrics"

// readMetrics reads the metrics of a server for as long as this process runs. An answer
// without them ends the process: what is measured would not be what the report says.
func readMetrics(addr string, secure bool) {
	url := "http://" + addr + metricsPath
	if secure {
		url = "https://" + addr + metricsPath
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // this process
	for range time.Tick(time.Second) {
		err := readOnce(client, url)
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) { // which is before the server listens
			fmt.Fprintln(os.Stderr, "reading metrics:", err)
			os.Exit(1)
		}
	}
}

func readOnce(client *http.Client, url string) error {
	answer, err := client.Get(url) //nolint:noctx // for as long as this process runs
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // it was read
	if err == nil && !bytes.Contains(text, []byte("caddy_http_requests_in_flight{")) {
		err = fmt.Errorf("%s: requests are not counted", answer.Status)
	}
	return err
}

func serveOursBolt(addr string, secure *tls.Config) error {
	return serveEngine(addr, secure, object{"name": "bolt", "path": filepath.Join(Data, "rooms.db")})
}

// serveEngine serves this module over an engine.
func serveEngine(addr string, secure *tls.Config, engine object) error {
	return serveCaddy(addr, secure, object{"websocket": object{"engine": engine}}, ourRoutes()...)
}

func ourRoutes() []object {
	return []object{
		route("/echo", object{"handler": "websocket", "app": object{"name": "echo"}}),
		route("/chat", object{"handler": "websocket", "app": object{"name": "broadcast"}}),
		route("/sum*", object{"handler": "websocket", "app": object{"name": "sum"}}),
		route("/history/*", object{"handler": "websocket", "app": object{"name": "broadcast"}, "history": Kept}),
		route("/paced", object{"handler": "websocket", "app": object{"name": "sum", "every": pace.String()}}),
		route("/power", object{"handler": "websocket", "app": object{"name": "meter", "every": pace.String(), "max_keys": MaxKeys}}),
	}
}

func serveGorillaCaddy(addr string, secure *tls.Config) error {
	return serveCaddy(addr, secure, object{}, route("/*", object{"handler": "bench_gorilla"}))
}

// Upstream is the address of the gorilla server that the peer reverse-proxy
// stands before. Whoever starts the peer sets it.
var Upstream string

func serveReverseProxy(addr string, secure *tls.Config) error {
	return serveCaddy(addr, secure, object{}, route("/*", object{
		"handler":   "reverse_proxy",
		"upstreams": []object{{"dial": Upstream}},
	}))
}

func route(path string, handler object) object {
	return object{"match": []object{{"path": []string{path}}}, "handle": []object{handler}}
}

// serveCaddy serves routes, beside other apps of Caddy, with Caddy's defaults, but for
// what has nothing to do with serving: the admin endpoint and logs below the level of
// errors.
func serveCaddy(addr string, secure *tls.Config, running object, routes ...object) error {
	server := object{
		"listen":          []string{addr},
		"routes":          routes,
		"automatic_https": object{"disable": true},
	}
	web := object{"servers": object{"bench": server}}
	if more, ok := running["http"].(object); ok {
		maps.Copy(web, more)
	}
	running["http"] = web
	if secure != nil {
		certificate, err := pemOf(secure.Certificates[0])
		if err != nil {
			return err
		}
		server["tls_connection_policies"] = []object{{}}
		running["tls"] = object{"certificates": object{"load_pem": []object{certificate}}}
	}
	config, err := json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "ERROR"}}},
		"apps":    running,
	})
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	select {}
}

func pemOf(certificate tls.Certificate) (object, error) {
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return nil, err
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return object{
		"certificate": encode("CERTIFICATE", certificate.Certificate[0]),
		"key":         encode("PRIVATE KEY", key),
	}, nil
}

// gorillaModule is the obvious plugin: gorilla in a Caddy handler.
type gorillaModule struct{ handler http.Handler }

// CaddyModule returns the Caddy module information.
func (gorillaModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.bench_gorilla",
		New: func() caddy.Module { return new(gorillaModule) },
	}
}

func (m *gorillaModule) Provision(caddy.Context) error {
	m.handler = gorillaHandler(false, true)
	return nil
}

func (m *gorillaModule) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	m.handler.ServeHTTP(hijacker{w}, r)
	return nil
}

// hijacker shows gorilla that Caddy's writer can be taken over.
type hijacker struct{ http.ResponseWriter }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

// Interface guards
var (
	_ caddy.Provisioner           = (*gorillaModule)(nil)
	_ caddyhttp.MiddlewareHandler = (*gorillaModule)(nil)
)
