package connect

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/caddyws/caddy-websocket/client"
	"github.com/gorilla/websocket"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// flags are those of the command.
type flags struct {
	client.Options
	binary bool
	json   bool
	ping   time.Duration
	wait   wait
	limit  size
}

// Command returns `connect`.
func Command() *cobra.Command {
	f := &flags{wait: wait(time.Second), limit: 16 << 20}
	f.Proxied = true
	cmd := &cobra.Command{
		Use:   "connect <url>",
		Short: "Sends lines to a WebSocket endpoint and prints what comes",
		Long: `Connects to a WebSocket endpoint. Sends each line of the standard input as a text message,
and prints each message that comes. The URL begins with ws:// or wss://, or as in a
browser with http:// or https://.

At a terminal you type lines. Ctrl+D or Ctrl+C closes. If the input is a pipe or a file,
the command waits after its end until nothing has come for the time --wait, and then
closes. What the server still sends before it closes is printed, too.

With --binary the messages are binary. All of the input is one message; at a terminal each
line is one, in hexadecimal. A binary message that comes is written as it is to a pipe or
a file, and in hexadecimal to a terminal.

With --json each message is printed as a line such as
{"type":"text","time":"…","data":"7"}. Binary messages are in base64.

Exit status:
  0  the connection was closed with code 1000
  1  anything else went wrong
  2  the server refused the handshake
  3  the connection was closed with another code
  4  the connection was cut: it ended without a close code`,
		Example: `  echo 6 | caddy websocket connect ws://localhost:8080/sum
  caddy websocket connect --user alice wss://example.com/chat
  caddy websocket connect --wait forever --json ws://localhost:8080/chat < /dev/null`,
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true,
		RunE:         func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), args[0]) },
	}
	f.AddFlags(cmd)
	cmd.Flags().BoolVarP(&f.binary, "binary", "b", false, "Send binary messages")
	cmd.Flags().BoolVar(&f.json, "json", false, "Print a line of JSON for each message")
	cmd.Flags().DurationVar(&f.ping, "ping", 0, "Ping this often, 10ms to 24h, and give up if nothing comes in that time (default never)")
	cmd.Flags().VarP(&f.wait, "wait", "w", `After the end of the input: how long nothing must have come before it closes, or "forever"`)
	cmd.Flags().Var(&f.limit, "max-message-size", "The largest message that is sent or taken, up to 1GiB")
	return cmd
}

// run connects and talks.
func (f *flags) run(ctx context.Context, url string) error {
	if err := checkPing(f.ping); err != nil {
		return err
	}
	if err := f.AskPassword(); err != nil {
		return err
	}
	dialer, err := client.NewDialer(url, f.Options)
	if err != nil {
		return err
	}
	interrupted := make(chan os.Signal, 2)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	conn, err := dial(ctx, dialer, interrupted)
	if err != nil {
		return err
	}
	conn.SetReadLimit(int64(f.limit))
	return f.talk(conn, dialer.URL.String(), interrupted)
}

// dial connects. An interruption ends that.
func dial(ctx context.Context, dialer *client.Dialer, interrupted <-chan os.Signal) (*websocket.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-interrupted:
			cancel()
		case <-done:
		}
	}()
	conn, err := dialer.Dial(ctx)
	if errors.Is(err, context.Canceled) {
		return nil, errors.New("interrupted before there was a connection")
	}
	return conn, err
}

// talk has a conversation, with a person if there is one.
func (f *flags) talk(conn *websocket.Conn, url string, interrupted <-chan os.Signal) error {
	onTerminal := term.IsTerminal(int(os.Stdout.Fd()))
	var s *session
	if onTerminal && term.IsTerminal(int(os.Stdin.Fd())) && os.Getenv("TERM") != "dumb" {
		e, err := newEditor(f.binary)
		if err != nil {
			return errors.Join(err, conn.Close())
		}
		defer e.restore()
		s = newSession(conn, e, e, f.form(below))
		e.say("Connected to " + client.Printable(url) + speaking(conn) + ". ^D closes.")
	} else {
		s = newSession(conn, f.input(os.Stdin), os.Stdout, f.form(raw))
		if onTerminal {
			s.form = f.form(shown)
		}
		s.wait = f.wait
	}
	s.ping = f.ping
	if !f.json {
		return s.run(interrupted)
	}
	_, _ = s.out.Write(event{Type: "open", Subprotocol: conn.Subprotocol()}.line()) // the messages tell if it cannot be written
	err := s.run(interrupted)
	_, _ = s.out.Write(ending(err).line()) // nor can more be told
	return err
}

// speaking tells which subprotocol was agreed on.
func speaking(conn *websocket.Conn) string {
	if agreed := conn.Subprotocol(); agreed != "" {
		return " (subprotocol " + client.Printable(agreed) + ")"
	}
	return ""
}

// input is what is sent of a pipe or a file.
func (f *flags) input(r io.Reader) source {
	if f.binary {
		return &whole{r: r, limit: int(f.limit)}
	}
	return newLines(r, int(f.limit))
}

// form is how messages are printed: otherwise, or as JSON.
func (f *flags) form(otherwise form) form {
	if f.json {
		return asJSON
	}
	return otherwise
}
