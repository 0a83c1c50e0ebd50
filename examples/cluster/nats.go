package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// serveNATS is one of the servers of NATS, by its number.
func serveNATS(number string) {
	if err := runNATS(number); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runNATS(number string) error {
	i, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	var routes []string
	for j := range servers {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", firstRoute+j))
	}
	name := fmt.Sprint("nats-", i+1)
	s, err := server.NewServer(&server.Options{
		ServerName: name,
		Host:       "127.0.0.1",
		Port:       firstNATS + i,
		JetStream:  true,
		StoreDir:   filepath.Join(store, name),
		SyncAlways: true,
		Cluster:    server.ClusterOpts{Name: "example", Host: "127.0.0.1", Port: firstRoute + i, NoAdvertise: true},
		Routes:     server.RoutesFromStr(strings.Join(routes, ",")),
	})
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
	return nil
}
