package nats

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/caddyws/caddy-websocket/engines"
)

func init() { caddy.RegisterModule(new(Opener)) }

// Opener keeps the state of rooms in a bucket of NATS JetStream, which several Caddy nodes
// share. The servers have to be of version 2.12 or later.
type Opener struct {
	// The servers, such as nats://10.0.0.1:4222; one of a cluster is enough, since it tells
	// of the others, but the first connection needs one that runs. The schemes are nats
	// (also if there is none), tls, ws and wss. User and password, or a token, stand before
	// an @. Placeholders such as {env.NATS_URL} are replaced. At least 1, at most 64.
	URLs []string `json:"urls,omitempty"`

	// The key-value bucket, created if there is none: 1 to 64 letters, digits, - and _.
	// Default: websocket.
	Bucket string `json:"bucket,omitempty"`

	// How many servers have a copy of a bucket that is created: 1, 3 or 5. A bucket that
	// exists is left as it is. Default: 3 in a cluster of servers, else 1.
	Replicas int `json:"replicas,omitempty"`

	// A file with a user's JWT and seed, as the tool nsc writes it. It is read again with
	// each connection. Placeholders are replaced. Default: none.
	Creds string `json:"creds,omitempty"`

	// How connections are encrypted. Default: with the certificates that the system trusts
	// where a server asks for TLS, or a URL is tls:// or wss://.
	TLS *TLS `json:"tls,omitempty"`

	// The beginning of the subjects by which nodes hear of each other: dots may be in it. A
	// bucket has one, which all its nodes have. Default: websocket. and the name of the
	// bucket.
	Prefix string `json:"prefix,omitempty"`

	// A configuration is not loaded while no server can be reached. Default: it is loaded,
	// and rooms that keep something answer 503 until one can.
	Required bool `json:"required,omitempty"`
}

// TLS is how connections to NATS are encrypted; if it is given, they are.
type TLS struct {
	// A file with the certificates, in PEM, that those of servers must be signed by.
	// Default: those that the system trusts.
	CA string `json:"ca,omitempty"`
	// Files with the certificate that this client shows and its key, in PEM. They are read
	// again with each connection. Default: none.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
}

// Defaults and bounds.
const (
	defaultBucket = "websocket"
	maxURLs       = 64
	maxPrefix     = 128 // characters
)

// CaddyModule returns the Caddy module information.
func (*Opener) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "websocket.engines.nats",
		New: func() caddy.Module { return new(Opener) },
	}
}

// Provision sets defaults and replaces placeholders. It opens nothing.
func (o *Opener) Provision(caddy.Context) error {
	if o.Bucket == "" {
		o.Bucket = defaultBucket
	}
	texts := []*string{&o.Creds}
	for i := range o.URLs {
		texts = append(texts, &o.URLs[i])
	}
	if o.TLS != nil {
		texts = append(texts, &o.TLS.CA, &o.TLS.Cert, &o.TLS.Key)
	}
	replacer := caddy.NewReplacer()
	for _, text := range texts {
		if *text == "" {
			continue
		}
		if *text = replacer.ReplaceAll(*text, ""); *text == "" {
			return errors.New("engine nats: a placeholder stands for nothing")
		}
	}
	return nil
}

var (
	bucketName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	prefixName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// Validate tells everything that is wrong with the options at once. URLs are not repeated,
// since they may have a password.
func (o *Opener) Validate() error {
	errs := o.checkURLs()
	if !bucketName.MatchString(o.Bucket) {
		errs = append(errs, fmt.Errorf("bucket %q, expected 1 to 64 letters, digits, - and _", o.Bucket))
	}
	if prefix := o.prefix(); len(o.Prefix) > maxPrefix || bucketName.MatchString(o.Bucket) && !prefixName.MatchString(prefix) {
		errs = append(errs, fmt.Errorf("prefix %q, expected words of letters, digits, - and _ with dots between them, %d characters at most", o.Prefix, maxPrefix))
	}
	if !slices.Contains([]int{0, 1, 3, 5}, o.Replicas) {
		errs = append(errs, fmt.Errorf("replicas is %d, expected 1, 3 or 5", o.Replicas))
	}
	if o.TLS != nil && (o.TLS.Cert == "") != (o.TLS.Key == "") {
		errs = append(errs, errors.New("tls needs cert and key, or neither"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("engine nats: %w", err)
	}
	return nil
}

func (o *Opener) checkURLs() (errs []error) {
	if n := len(o.URLs); n < 1 || n > maxURLs {
		errs = append(errs, fmt.Errorf("%d urls, expected 1 to %d", n, maxURLs))
	}
	for i, text := range o.URLs {
		if _, err := parseURL(text); err != nil {
			errs = append(errs, fmt.Errorf("url %d: %w", i+1, err))
		}
	}
	return errs
}

// parseURL reads the URL of a server. The error does not repeat it.
func parseURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, errors.New("it is not a URL such as nats://10.0.0.1:4222")
	case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
		return nil, fmt.Errorf("its scheme is %q, expected nats, tls, ws or wss", u.Scheme)
	case strings.ContainsAny(text, ", \t\n"):
		return nil, errors.New("it has a comma or a blank: each URL is a value of its own")
	case (u.Path != "" && u.Path != "/" && !strings.HasPrefix(u.Scheme, "ws")) || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it has a path, a query or a fragment")
	}
	return u, nil
}

// Identity tells the servers, the bucket, and by a hash all else that a connection is made
// with: an engine that is open goes on only if nothing of it has changed.
func (o *Opener) Identity() string {
	connection := *o
	connection.Required = false
	all, err := json.Marshal(connection)
	if err != nil { // not of these types
		panic(err)
	}
	sum := sha256.Sum256(all)
	return strings.Join(o.hosts(), ",") + " " + o.Bucket + " " + hex.EncodeToString(sum[:16])
}

func (o *Opener) prefix() string {
	if o.Prefix == "" {
		return "websocket." + o.Bucket
	}
	return o.Prefix
}

// hosts returns the addresses of the servers, without secrets.
func (o *Opener) hosts() (hosts []string) {
	for _, text := range o.URLs {
		if u, err := parseURL(text); err == nil {
			hosts = append(hosts, u.Host)
		}
	}
	return hosts
}

// IsRequired reports whether a configuration is not to be loaded while NATS cannot be reached.
func (o *Opener) IsRequired() bool { return o.Required }

// IsShared reports that other nodes use the rooms.
func (o *Opener) IsShared() bool { return true }

// Open connects to NATS and finds the bucket, or creates it. If no server can be reached, or
// JetStream does not answer, that is an engines.ErrUnavailable.
func (o *Opener) Open(ctx context.Context) (engines.Engine, error) {
	e, err := o.open(ctx)
	if err == nil {
		return e, nil
	}
	return nil, fmt.Errorf("opening the bucket %s of NATS at %s: %w", o.Bucket, strings.Join(o.hosts(), ", "), err)
}

func (o *Opener) open(ctx context.Context) (*Engine, error) {
	settings, err := o.connection()
	if err != nil {
		return nil, err
	}
	l, err := dial(ctx, settings, strings.Join(o.URLs, ","))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engines.ErrUnavailable, err)
	}
	e, err := o.openOver(ctx, l)
	if err != nil {
		l.close()
		return nil, err
	}
	return e, nil
}

// openOver opens the bucket over a connection.
func (o *Opener) openOver(ctx context.Context, l *link) (*Engine, error) {
	if version := l.conn().ConnectedServerVersion(); !isRecent(version) {
		return nil, fmt.Errorf("the server %s has version %s, expected 2.12 or later", l.conn().ConnectedServerName(), version)
	}
	b, err := openBucket(ctx, l, o.Bucket, o.prefix(), o.Replicas)
	if err != nil {
		return nil, err
	}
	logs, err := openLogs(ctx, l, o.Bucket, o.prefix(), o.Replicas)
	if err != nil {
		return nil, err
	}
	mark, err := marks(ctx, b, logs)
	if err != nil {
		return nil, err
	}
	checkServers(ctx, l.conn())
	return newEngine(b, logs, o.prefix(), mark, l.conn().MaxPayload())
}

// marks returns the marks of both streams as one text.
func marks(ctx context.Context, b *bucket, l *logs) (string, error) {
	rooms, err := b.mark(ctx, b.prefix+markToken)
	if err != nil {
		return "", fmt.Errorf("marking the bucket: %w", err)
	}
	messages, err := l.mark(ctx, l.prefix+markToken)
	if err != nil {
		return "", fmt.Errorf("marking the log of the bucket: %w", err)
	}
	return rooms + messages, nil
}

// isRecent reports whether a server lets single messages have an end, and says only of what it
// has not stored that it has no resources.
func isRecent(version string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return n == 2 && (major > 2 || major == 2 && minor >= 12)
}

// connection returns how to connect.
func (o *Opener) connection() (settings []nats.Option, err error) {
	if o.Creds != "" {
		if _, err := os.Stat(o.Creds); err != nil {
			return nil, fmt.Errorf("creds: %w", err)
		}
		settings = append(settings, nats.UserCredentials(o.Creds))
	}
	if o.TLS != nil {
		config, err := o.TLS.config()
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		settings = append(settings, nats.Secure(config))
	}
	return settings, nil
}

// config reads the files.
func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		p, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(p) {
			return nil, fmt.Errorf("%s has no certificate in PEM", t.CA)
		}
	}
	if t.Cert == "" {
		return config, nil
	}
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		return &pair, err
	}
	_, err := load(nil)
	config.GetClientCertificate = load
	return config, err
}

// logger returns the logger of the configuration that is running now.
func logger() *zap.Logger { return caddy.Log().Named("websocket.engines.nats") }

// Interface guards
var (
	_ caddy.Module          = (*Opener)(nil)
	_ caddy.Provisioner     = (*Opener)(nil)
	_ caddy.Validator       = (*Opener)(nil)
	_ caddyfile.Unmarshaler = (*Opener)(nil)
	_ engines.Opener        = (*Opener)(nil)
	_ engines.Essential     = (*Opener)(nil)
	_ engines.Sharing       = (*Opener)(nil)
)
