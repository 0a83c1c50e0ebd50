package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// redisKeeper has a stream of Redis for each room, whose entries have the ids 0-1, 0-2 and
// so on: the versions of the messages.
type redisKeeper struct {
	client *redis.Client
	by     commander
	rooms  *keptRooms
}

const (
	streamPrefix = "messages:" // what streams and channels begin with; the room's name follows
	messageField = "m"
)

// appendMessage adds a message to a stream and publishes it, with its version, for the
// servers that share the database. Nobody is told it before it is on disk: with appendfsync
// always Redis sends what it has to say after that.
var appendMessage = redis.NewScript(`
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '0-*', 'm', ARGV[1])
redis.call('PUBLISH', KEYS[1], string.sub(id, 3) .. ' ' .. ARGV[1])
return id`)

func (k *redisKeeper) keep(room string, m keptMessage) (uint64, error) {
	id, err := appendMessage.Run(context.Background(), k.by, []string{streamPrefix + room}, m.encode(), Kept).Text()
	if err != nil {
		return 0, err
	}
	return versionOf(id)
}

// versionOf returns the version that the id of an entry has.
func versionOf(id string) (uint64, error) {
	return strconv.ParseUint(strings.TrimPrefix(id, "0-"), 10, 64)
}

// listen has the members of all rooms told what is published.
func (k *redisKeeper) listen(ctx context.Context) error {
	messages := k.client.PSubscribe(ctx, streamPrefix+"*")
	if _, err := messages.Receive(ctx); err != nil {
		return err
	}
	go func() {
		for published := range messages.Channel() {
			version, text, _ := strings.Cut(published.Payload, " ")
			if m, err := parseKept(version, text); err == nil {
				k.rooms.told(strings.TrimPrefix(published.Channel, streamPrefix), m)
			}
		}
	}()
	return nil
}

// parseKept returns a message with the version that its entry has.
func parseKept(id, text string) (m keptMessage, err error) {
	if err = json.Unmarshal([]byte(text), &m); err == nil {
		m.Version, err = versionOf(id)
	}
	return m, err
}

func (k *redisKeeper) behind(room string, version uint64) ([]keptMessage, error) {
	entries, err := k.client.XRange(context.Background(), streamPrefix+room, fmt.Sprintf("(0-%d", version), "+").Result()
	if err != nil {
		return nil, err
	}
	messages := make([]keptMessage, 0, len(entries))
	for _, entry := range entries {
		text, _ := entry.Values[messageField].(string)
		m, err := parseKept(entry.ID, text)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

func (k *redisKeeper) last(room string) (uint64, error) {
	entries, err := k.client.XRevRangeN(context.Background(), streamPrefix+room, "+", "-", 1).Result()
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	return versionOf(entries[0].ID)
}
