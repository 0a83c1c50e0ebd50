package measure

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/caddyws/caddy-websocket/client"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// flags are those of the command.
type flags struct {
	client.Options
	plan
	json bool
	yes  bool
}

// Command returns `bench`.
func Command() *cobra.Command {
	f := new(flags)
	cmd := &cobra.Command{
		Use:   "bench <url>",
		Short: "Loads a WebSocket endpoint and tells how fast it answers",
		Long: `Opens connections to a WebSocket endpoint and sends messages over them for a while. Then it
tells how many were answered, and how long that took. Without --yes the endpoint must be
on this machine.

Each message has an id in it. It is answered when a message with the same id comes back on
its connection. Endpoints that send messages back (echo, lowercase, broadcast) need nothing
more. For others give the message with --message. Write {id} where the endpoint repeats it
in its answer: each message then has an id of its own there.

  caddy websocket bench --subprotocol json \
      --message '{"value":1,"id":"{id}"}' ws://localhost:8080/sum

With --rate messages are due at that pace, whether answers come or not. The time of an
answer counts from when its message was due. So it shows how long users wait under that
load.

Without --rate each connection sends its next message when it has its answer. That shows
how much a server can do, but not how long users wait under a given load.

The load comes from one process. If the server is on the same machine, both share it.

Exit status:
  0  all was done that was planned
  1  anything went wrong: the report, if there is one, tells what
  2  the server refused all handshakes`,
		Example: `  caddy websocket bench ws://localhost:8080/echo
  caddy websocket bench --connections 1000 --rate 5000 --duration 30s ws://localhost:8080/echo
  caddy websocket bench --connections 100 --rate 10 --json ws://localhost:8080/chat`,
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true,
		RunE:         func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), args[0]) },
	}
	f.AddFlags(cmd)
	cmd.Flags().IntVarP(&f.connections, "connections", "c", 10, "How many connections, up to 100000")
	cmd.Flags().Float64VarP(&f.rate, "rate", "r", 0, "Messages a second, over all connections (default as many as are answered)")
	cmd.Flags().IntVar(&f.size, "size", 64, "Bytes of a message, 32 to 16777216")
	cmd.Flags().StringVarP(&f.text, "message", "m", "", "Message to send; in each message {id} stands for an id of its own")
	cmd.Flags().BoolVarP(&f.binary, "binary", "b", false, "Send binary messages")
	cmd.Flags().DurationVarP(&f.duration, "duration", "d", 10*time.Second, "How long messages are sent, 100ms to 24h")
	cmd.Flags().DurationVarP(&f.wait, "wait", "w", 5*time.Second, "How long answers are waited for after that")
	cmd.Flags().BoolVar(&f.json, "json", false, "Print the report as JSON, times in milliseconds")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "The endpoint may be on another machine")
	cmd.MarkFlagsMutuallyExclusive("size", "message")
	return cmd
}

// run measures and prints the report.
func (f *flags) run(ctx context.Context, url string) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.AskPassword(); err != nil {
		return err
	}
	dialer, err := client.NewDialer(url, f.Options)
	if err != nil {
		return err
	}
	if err := f.allowed(ctx, dialer.URL.Hostname()); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // another ^C ends the command at once
	r := newRun(f.plan, dialer.Dial)
	end := func() {}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		end = showProgress(os.Stderr, r)
	}
	report, err := r.do(ctx)
	end()
	if err != nil {
		return err
	}
	report.URL = dialer.URL.String()
	write := report.writeTable
	if f.json {
		write = report.writeJSON
	}
	if err := write(os.Stdout); err != nil {
		return err
	}
	return report.Incomplete()
}

// allowed tells why the plan must not be run, before anybody is connected to.
func (f *flags) allowed(ctx context.Context, host string) error {
	if err := checkDescriptors(f.connections, descriptorLimit()); err != nil {
		return err
	}
	if f.yes {
		return nil
	}
	return checkHost(ctx, host)
}
