package caddyws

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyws/caddy-websocket/client/connect"
	"github.com/caddyws/caddy-websocket/client/measure"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "websocket",
		Usage: "backup <file> | connect <url> | bench <url>",
		Short: "Looks after websocket routes, and talks to WebSocket endpoints",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return cmd.Help()
				}
				return fmt.Errorf("unknown command %q, expected backup, connect or bench", args[0])
			}
			cmd.AddCommand(backupCommand(), withStatus(connect.Command()), withStatus(measure.Command()))
		},
	})
}

// withStatus has a command exit with the status that its errors name. They are printed
// here: Caddy would write a line of its log.
func withStatus(cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		var named interface{ ExitStatus() int }
		if !errors.As(err, &named) {
			return err
		}
		cmd.PrintErrln("Error:", err)
		cmd.SilenceErrors = true
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return named.ExitStatus(), nil })(cmd, args)
	}
	return cmd
}

// backupCommand is `caddy websocket backup`.
func backupCommand() *cobra.Command {
	var from adminAddress
	cmd := &cobra.Command{
		Use:   "backup <file>",
		Short: "Copies all stored rooms of a running Caddy to a file",
		Long: `Copies all stored rooms of a running Caddy to a file that must not exist yet. With "-" as
the file it writes to the standard output. The copy is of one moment. Caddy goes on
meanwhile.

To restore it:
  1. Stop Caddy.
  2. Put the copy in the place of the file in which the engine keeps rooms. By default that
     is websocket/rooms.db in Caddy's data directory.
  3. Start Caddy.`,
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true,
		RunE:         func(_ *cobra.Command, args []string) error { return backup(from, args[0]) },
	}
	cmd.Flags().StringVar(&from.address, "address", "", "Address of the admin API; if not given, it is taken from the configuration")
	cmd.Flags().StringVarP(&from.config, "config", "c", "", "Configuration file to take the address from")
	cmd.Flags().StringVarP(&from.adapter, "adapter", "a", "", "Adapter of that file")
	return cmd
}

// adminAddress is how the admin API is found, as with `caddy reload`.
type adminAddress struct{ address, config, adapter string }

// get asks the admin API. The caller closes the body.
func (a adminAddress) get(uri string) (io.ReadCloser, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(a.address, nil, a.config, a.adapter)
	if err != nil {
		return nil, fmt.Errorf("finding the admin API: %w", err)
	}
	response, err := caddycmd.AdminAPIRequest(address, http.MethodGet, uri, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the admin API: %w", err)
	}
	return response.Body, nil
}

// backup copies the stored rooms to a file. What is not whole is not left behind.
func backup(from adminAddress, name string) error {
	if name == "-" {
		return from.copyTo(os.Stdout)
	}
	return writeNew(name, from.copyTo)
}

// copyTo writes a copy of all stored rooms.
func (a adminAddress) copyTo(w io.Writer) error {
	body, err := a.get(backupPath)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if _, err = io.Copy(w, body); err != nil {
		return fmt.Errorf("copying rooms: %w", err)
	}
	return nil
}

// writeNew has a file written that must not exist yet. It has its name once all of it is
// on disk.
func writeNew(name string, write func(io.Writer) error) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s exists already", name)
	}
	part, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.part") // with mode 0600
	if err != nil {
		return fmt.Errorf("writing backup: %w", err)
	}
	err = write(part)
	if err = errors.Join(err, part.Sync(), part.Close()); err == nil {
		err = os.Rename(part.Name(), name)
	}
	if err != nil {
		_ = os.Remove(part.Name())
	}
	return err
}
