package client

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Options say how to connect. The zero value asks for nothing special.
type Options struct {
	Headers      []string // each "Name: value", sent with the handshake
	Subprotocols []string // asked for, the best first; the server must agree on one
	User         string   // "name:password" for HTTP basic authentication
	Insecure     bool     // the certificate of the server is not checked
	Proxied      bool     // the proxy of the environment is used, as curl does
}

// AddFlags gives a command the flags that set the options.
func (o *Options) AddFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.Headers, "header", "H", nil, `Header "Name: value" of the handshake; may be repeated`)
	flags.StringSliceVarP(&o.Subprotocols, "subprotocol", "s", nil, "Subprotocol to ask for; may be repeated, the best first")
	flags.StringVarP(&o.User, "user", "u", "", "User for basic authentication, name:password; without password it is asked for")
	flags.BoolVarP(&o.Insecure, "insecure", "k", false, "Do not check the server's certificate")
}

// AskPassword asks on the terminal for a password that User has not. It must not be
// called while somebody else reads from the terminal.
func (o *Options) AskPassword() error {
	if o.User == "" || strings.Contains(o.User, ":") {
		return nil
	}
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		return fmt.Errorf("--user %s has no password, and there is no terminal to ask for it: write --user name:password", o.User)
	}
	password, err := readPassword(stdin, "Password of "+Printable(o.User)+": ")
	if err != nil {
		return errors.Join(errors.New("no password"), err)
	}
	o.User += ":" + password
	return nil
}

// readPassword asks on a terminal, which shows nothing of what is typed from before it asks.
func readPassword(stdin int, prompt string) (password string, err error) {
	before, err := term.MakeRaw(stdin)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, term.Restore(stdin, before)) }()
	return term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{single{os.Stdin}, os.Stderr}, "").ReadPassword(prompt)
}

// single reads byte after byte: what is typed behind a line is for others to read.
type single struct{ io.Reader }

func (r single) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }
