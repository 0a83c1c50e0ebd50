package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// Refused is the error of a server that does not agree on a WebSocket.
type Refused struct {
	Code    int // of the answer, 0 if a handshake was agreed on that is of no use
	problem string
	fields  []string // of the answer, those that say more
	body    string   // its beginning
}

// telling are the fields of an answer that say why, or what to do.
var telling = []string{"Location", "Retry-After", "WWW-Authenticate", "Allow", "Sec-WebSocket-Version"}

// hints tell what to do where the status alone does not.
var hints = map[int]string{
	http.StatusSwitchingProtocols:  "it answers 101, but not as a WebSocket server does",
	http.StatusOK:                  "there is something at this URL, but no WebSocket",
	http.StatusUnauthorized:        "give a user: --user name:password",
	http.StatusForbidden:           "the user, the address or the origin is not let in; Caddy's log has a line \"request refused\" with the reason",
	http.StatusNotFound:            "nothing is at this URL",
	http.StatusUpgradeRequired:     "it takes no WebSocket here, or only another version of the protocol",
	http.StatusTooManyRequests:     "too many connections or messages from here",
	http.StatusServiceUnavailable:  "the server is full or stopping",
	http.StatusMovedPermanently:    "connect to the URL in Location, with wss for https",
	http.StatusFound:               "connect to the URL in Location, with wss for https",
	http.StatusTemporaryRedirect:   "connect to the URL in Location, with wss for https",
	http.StatusPermanentRedirect:   "connect to the URL in Location, with wss for https",
	http.StatusBadGateway:          "a proxy cannot reach the server behind it",
	http.StatusProxyAuthRequired:   "the proxy of your environment wants a user",
	http.StatusInternalServerError: "the server has failed; its log knows more",
}

// refused makes an error of the answer to a handshake.
func refused(response *http.Response) *Refused {
	r := &Refused{Code: response.StatusCode, problem: "the server refuses the handshake: " + response.Status, body: bodyOf(response)}
	for _, name := range telling {
		for _, value := range response.Header.Values(name) {
			r.fields = append(r.fields, name+": "+value)
		}
	}
	if hint := hints[response.StatusCode]; hint != "" {
		r.problem += " (" + hint + ")"
	}
	return r
}

// Error tells the status, what to do, the fields that say more, and the body.
func (r *Refused) Error() string {
	lines := append([]string{r.problem}, r.fields...)
	if body := strings.TrimSpace(r.body); body != "" {
		lines = append(lines, "", body)
	}
	return Printable(strings.Join(lines, "\n"))
}

// Short is Error in one line without the body.
func (r *Refused) Short() string { return Printable(r.problem) }

// ExitStatus is that of a refused handshake.
func (*Refused) ExitStatus() int { return 2 }

// explained adds what to do to errors of the network that do not say so.
func explained(err error) error {
	var (
		unverified *tls.CertificateVerificationError
		noTLS      tls.RecordHeaderError
		noHost     *net.DNSError
	)
	var hint string
	switch {
	case errors.As(err, &unverified):
		hint = "the certificate is not trusted here; for that of `tls internal` run `caddy trust` once, or use --insecure"
	case errors.As(err, &noTLS):
		hint = "this port does not speak TLS: use ws:// instead of wss://"
	case errors.As(err, &noHost):
		hint = "there is no such host"
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		hint = "no answer within " + handshakeTimeout.String()
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this machine has no port left for another connection to that server"
	default:
		return err
	}
	return fmt.Errorf("%w (%s)", err, hint)
}
