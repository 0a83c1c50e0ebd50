// Package blackbox tests a built Caddy from outside. It starts the binary,
// speaks to it over sockets as its users' programs do, and knows nothing of what
// is inside: it imports no other package of this module, so that it judges any
// later change of the inside by what can be seen of it.
//
// **A rule that users can rely on has a row in a table here**: transports, origins,
// handshakes, frames, apps. Every test has a Caddy of its own on ports of its own.
// Its log must show no panic and no data race (go test -race builds it with the
// race detector), and it must end by itself when it is told to.
//
// Programs that are needed beside Go, such as a browser or strace, are looked for.
// Without them a test is skipped and says why; where the environment has CI=true it
// fails. Some tests of the disk need root, too: without it they are skipped.
//
//	BLACKBOX_CADDY=/usr/bin/caddy go test -count=1 ./blackbox
//
// tests a binary that is there already.
//
//	CADDYWS_SOAK=15m go test -count=1 -timeout 30m -v -run TestSoak ./blackbox
//
// keeps 10,000 idle connections for 15 minutes with the default pings, instead of
// 500 for three seconds. Server and test may have to open 10,100 files each
// (ulimit -n); without -v the memory of each minute is not shown.
//
//	CADDYWS_NODES=2m go test -count=1 -timeout 30m -v -run 'Nodes|NATS' ./blackbox
//
// has three nodes and their servers of NATS killed in turn for two minutes, with 300 clients on
// one room, instead of once each with 40; as long it loses what NATS answers. NATS is away for
// 30 seconds and for three minutes, a million messages are sent, and 1,500 rooms are idle for a
// minute.
//
//	CADDYWS_CUTS=10000 go test -count=1 -timeout 60m -v -run BehindCuts ./blackbox
//
// cuts the connections of readers of kept messages 10,000 times instead of some hundreds: those to
// one server, and those to three nodes, which are cut off from NATS, too.
//
//	CADDYWS_MESSAGES=1000 go test -count=1 -timeout 30m -v -run TestResumeInManyRooms ./blackbox
//
// measures how soon clients that come back have what they have missed, and the memory, with
// 1,000 rooms of so many messages instead of 10 of 100.
//
//	CADDYWS_SLEEPS=100 go test -count=1 -timeout 30m -v -run TestSleepsOfABrowser ./blackbox
//
// has a page in a browser sleep 100 times instead of ten, and shows how soon it is back.
//
//	CADDYWS_PRESENCE=1 go test -count=1 -timeout 30m -v -run 'Throng|NoGhosts' ./blackbox
//
// has 10,000 members join a room with presence instead of 500, and kills and freezes
// a process with members 50 times each, with the default times of pings and presence.
package blackbox
