package nats

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// configured starts a server from the text of a configuration.
func configured(t *testing.T, text string) *server.Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o.NoLog, o.NoSigs = true, true
	return startServer(t, o)
}

const accounts = `
listen: 127.0.0.1:-1
server_name: careful
jetstream { store_dir: %q, sync_interval: %s }
accounts {
	APP {
		jetstream: enabled
		users: [{user: app, password: app}]
		imports: [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.STATSZ"}}]
	}
	SYS {
		users: [{user: sys, password: sys}]
		exports: [{service: "$SYS.REQ.SERVER.PING.STATSZ", response_type: stream}]
	}
}
system_account: SYS
`

// Where the account may ask them, servers tell by name whether they sync before they
// acknowledge.
func TestServersTellHowTheyStore(t *testing.T) {
	for interval, always := range map[string]bool{"always": true, "2m": false} {
		s := configured(t, fmt.Sprintf(accounts, t.TempDir(), interval))
		e := openEngine(t, &Opener{URLs: []string{"nats://app:app@" + s.Addr().String()}, Bucket: newBucket()})
		var all []serverStatus
		eventually(t, "the server answers in time", func() bool {
			all = askServers(bounded(t), e.link.conn())
			return len(all) > 0
		})
		if len(all) != 1 || all[0].Server.Name != "careful" || all[0].Status.JetStream == nil || all[0].Status.JetStream.Config.SyncAlways != always {
			t.Errorf("%s: %+v", interval, all)
		}
	}
}

func TestServersThatMayNotBeAsked(t *testing.T) {
	e := openEngine(t, &Opener{URLs: []string{startServer(t, serverOptions(t)).ClientURL()}, Bucket: newBucket()})
	if all := askServers(bounded(t), e.link.conn()); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
