package nats

import (
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyws/caddy-websocket/options"
)

// UnmarshalCaddyfile sets up the engine from Caddyfile tokens. Syntax:
//
//	nats <url>... {
//		bucket <name>
//		replicas 1|3|5
//		creds <file>
//		tls {
//			ca <file>
//			cert <file>
//			key <file>
//		}
//		prefix <subject>
//		required
//	}
func (o *Opener) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if o.URLs = d.RemainingArgs(); len(o.URLs) == 0 {
		return d.Err("the engine nats needs the URL of a server, such as nats://10.0.0.1:4222")
	}
	if slices.Contains(o.URLs, "") {
		return d.Err("a URL of the engine nats is empty")
	}
	return options.Set{
		"bucket":   options.Text(&o.Bucket),
		"replicas": o.parseReplicas,
		"creds":    options.Text(&o.Creds),
		"tls":      o.parseTLS,
		"prefix":   options.Text(&o.Prefix),
		"required": options.Flag(&o.Required),
	}.Block(d, "nats")
}

func (o *Opener) parseReplicas(d *caddyfile.Dispenser) error {
	var word string
	if err := options.Word(&word, "1", "3", "5")(d); err != nil {
		return err
	}
	n, err := strconv.Atoi(word)
	o.Replicas = n
	return err
}

func (o *Opener) parseTLS(d *caddyfile.Dispenser) error {
	o.TLS = new(TLS)
	return options.Set{
		"ca":   options.Text(&o.TLS.CA),
		"cert": options.Text(&o.TLS.Cert),
		"key":  options.Text(&o.TLS.Key),
	}.Option(d)
}
