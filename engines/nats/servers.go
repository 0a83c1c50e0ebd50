package nats

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// The servers tell how they store only to connections that may ask them: those whose
// account imports this subject from the system account.
const serversSubject = "$SYS.REQ.SERVER.PING.STATSZ"

// serversTimeout is how long the answers of servers are waited for.
const serversTimeout = 500 * time.Millisecond

// serverStatus is what a server tells of itself.
type serverStatus struct {
	Server struct {
		Name string `json:"name"`
	} `json:"server"`
	Status struct {
		JetStream *struct {
			Config struct {
				SyncAlways   bool          `json:"sync_always"`
				SyncInterval time.Duration `json:"sync_interval"`
			} `json:"config"`
		} `json:"jetstream"`
	} `json:"statsz"`
}

// checkServers warns of servers that acknowledge what their disk does not have yet.
func checkServers(ctx context.Context, conn *nats.Conn) {
	known := false
	for _, s := range askServers(ctx, conn) {
		if s.Status.JetStream == nil {
			continue // it stores nothing
		}
		known = true
		if config := s.Status.JetStream.Config; !config.SyncAlways {
			logger().Warn("this NATS server acknowledges before its disk has what it stores: if the power of all servers with a copy fails "+
				"at once, changes that clients were told of may be lost. Set sync_interval: always in its block jetstream to avoid that",
				zap.String("server", s.Server.Name), zap.Duration("sync_interval", config.SyncInterval))
		}
	}
	if !known {
		logger().Info("the NATS servers do not tell this account whether they acknowledge only what their disks have: see that " +
			"each has sync_interval: always in its block jetstream, or that they do not lose power at once")
	}
}

// askServers returns what all servers answer within a time.
func askServers(ctx context.Context, conn *nats.Conn) (all []serverStatus) {
	inbox := conn.NewInbox()
	answers, err := conn.SubscribeSync(inbox)
	if err != nil {
		return nil
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := conn.PublishRequest(serversSubject, inbox, nil); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, serversTimeout)
	defer cancel()
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil { // the time is over, or nobody may be asked
			return all
		}
		var s serverStatus
		if json.Unmarshal(m.Data, &s) == nil {
			all = append(all, s)
		}
	}
}
