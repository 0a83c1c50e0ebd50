package client

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/net/http/httpguts"
)

// handshakeTimeout is how long a handshake may take, with connecting and TLS.
const handshakeTimeout = 20 * time.Second

// A Dialer opens connections to one URL. Its methods may be called concurrently.
type Dialer struct {
	URL    *url.URL // ws or wss, without user
	header http.Header
	dialer websocket.Dialer
}

// NewDialer returns a dialer. It connects to nobody yet; it fails if the URL or an
// option has not the right form.
func NewDialer(raw string, o Options) (*Dialer, error) {
	target, err := parseTarget(raw)
	if err != nil {
		return nil, err
	}
	header, err := o.header(target.User)
	if err != nil {
		return nil, err
	}
	for _, name := range o.Subprotocols {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("the subprotocol %q is not a token", name)
		}
	}
	target.User = nil
	d := &Dialer{URL: target, header: header, dialer: websocket.Dialer{
		HandshakeTimeout: handshakeTimeout,
		ReadBufferSize:   4 << 10,
		WriteBufferSize:  4 << 10,
		WriteBufferPool:  new(sync.Pool),
		Subprotocols:     o.Subprotocols,
		TLSClientConfig:  &tls.Config{InsecureSkipVerify: o.Insecure}, //nolint:gosec // the user asks for it
	}}
	if o.Proxied {
		d.dialer.Proxy = http.ProxyFromEnvironment
	}
	return d, nil
}

// reserved are the fields that the handshake itself has.
var reserved = []string{"Connection", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Protocol", "Sec-Websocket-Version", "Upgrade"}

// header returns what is sent beside the handshake's own fields.
func (o Options) header(inURL *url.Userinfo) (http.Header, error) {
	header := make(http.Header)
	for _, line := range o.Headers {
		name, value, found := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !found || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value):
			return nil, fmt.Errorf(`the header %q has not the form "Name: value"`, line)
		case slices.Contains(reserved, http.CanonicalHeaderKey(name)):
			return nil, fmt.Errorf("the header %s belongs to the handshake; for subprotocols there is --subprotocol", name)
		}
		header.Add(name, value)
	}
	user := o.User
	if user == "" && inURL != nil {
		password, _ := inURL.Password()
		user = inURL.Username() + ":" + password
	}
	if user != "" {
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user)))
	}
	return header, nil
}

// Dial opens a connection. The error is a *Refused if the server has answered and
// refuses; any other means that there was no answer of a WebSocket server.
func (d *Dialer) Dial(ctx context.Context) (*websocket.Conn, error) {
	dialer, relax := d.dialer, func() bool { return true }
	dialer.NetDialContext = func(within context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(within, network, address)
		if err == nil { // while gorilla waits for an answer it does not look at the context
			relax = context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}
	conn, response, err := dialer.DialContext(ctx, d.URL.String(), d.header)
	switch over := !relax(); {
	case over && err == nil:
		_ = conn.Close()
		fallthrough
	case over:
		return nil, fmt.Errorf("connecting to %s: %w", d.URL.Host, ctx.Err())
	case errors.Is(err, websocket.ErrBadHandshake):
		return nil, refused(response)
	case err != nil:
		return nil, fmt.Errorf("connecting to %s: %w", d.URL.Host, explained(err))
	}
	if err := d.checkSubprotocol(conn.Subprotocol()); err != nil {
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second)) // it ends either way
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkSubprotocol holds the server to one of those that were asked for, as browsers
// do.
func (d *Dialer) checkSubprotocol(agreed string) error {
	wanted := d.dialer.Subprotocols
	switch {
	case slices.Contains(wanted, agreed) || agreed == "" && len(wanted) == 0:
		return nil
	case agreed == "":
		return &Refused{problem: "the server speaks none of the subprotocols " + strings.Join(wanted, ", ")}
	default:
		return &Refused{problem: "the server has chosen the subprotocol " + Printable(agreed) + ", which was not asked for"}
	}
}

// bodyOf returns the beginning of a refusal's body, which gorilla has read.
func bodyOf(response *http.Response) string {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}
