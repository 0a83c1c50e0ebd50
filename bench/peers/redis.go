package peers

import (
	"context"
	"crypto/tls"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// RedisSocket is where the Redis server of the peers redis and redis-pipeline listens.
// Whoever starts the peer sets it.
var RedisSocket string

func serveRedis(addr string, _ *tls.Config) error {
	client := newRedisClient()
	return serveRedisBy(addr, client, client)
}

// serveRedisPipeline sends what many goroutines want in one batch.
func serveRedisPipeline(addr string, _ *tls.Config) error {
	client := newRedisClient()
	pipeline, err := client.AutoPipeline()
	if err != nil {
		return err
	}
	return serveRedisBy(addr, client, pipeline)
}

func newRedisClient() *redis.Client {
	return redis.NewClient(&redis.Options{Network: "unix", Addr: RedisSocket})
}

func serveRedisBy(addr string, client *redis.Client, by commander) error {
	ctx := context.Background()
	rooms := newStoredRooms()
	rooms.totals = &redisTotals{client: client, by: by, publishers: make(map[string]*publisher)}
	updates := client.PSubscribe(ctx, redisPrefix+"*")
	if _, err := updates.Receive(ctx); err != nil {
		return err
	}
	go func() {
		for m := range updates.Channel() {
			if total, err := strconv.ParseInt(m.Payload, 10, 64); err == nil {
				rooms.told(strings.TrimPrefix(m.Channel, redisPrefix), total)
			}
		}
	}()
	kept := newKeptRooms()
	keeper := &redisKeeper{client: client, by: by, rooms: kept}
	if err := keeper.listen(ctx); err != nil {
		return err
	}
	kept.keeper = keeper
	return serveHandler(addr, nil, storedHandler(rooms, kept))
}

// redisPrefix is what keys and channels begin with; the room's name follows.
const redisPrefix = "total:"

// commander carries out commands: each alone, or in batches.
type commander interface {
	redis.Scripter
	IncrBy(ctx context.Context, key string, n int64) *redis.IntCmd
}

// redisTotals are keys of Redis. Totals are published for the servers that share it, of
// which this is one.
type redisTotals struct {
	client *redis.Client
	by     commander

	mu         sync.Mutex
	publishers map[string]*publisher
}

func (t *redisTotals) add(room string, n int64) (int64, error) {
	return t.by.IncrBy(context.Background(), redisPrefix+room, n).Result()
}

// tell leaves publishing to one goroutine of the room. It publishes the newest total:
// one for each number would have Redis wake this server for nothing.
func (t *redisTotals) tell(room string, total int64) {
	if p := t.publisher(room); raise(&p.newest, total) {
		p.changed.set()
	}
}

func (t *redisTotals) publisher(room string) *publisher {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.publishers[room]
	if p == nil {
		p = &publisher{changed: newSignal()}
		t.publishers[room] = p
		go p.run(t.client, redisPrefix+room)
	}
	return p
}

type publisher struct {
	newest  atomic.Int64
	changed signal
}

func (p *publisher) run(client *redis.Client, channel string) {
	for range p.changed {
		if client.Publish(context.Background(), channel, p.newest.Load()).Err() != nil {
			p.changed.set()
		}
	}
}
