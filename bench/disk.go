package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/caddyws/caddy-websocket/bench/load"
	"github.com/caddyws/caddy-websocket/bench/peers"
)

// syncSize is how much is written before each sync of the disk alone.
const syncSize = 4096

// measureDisk has the disk sync for as long as a phase takes: what a server could do at
// best that syncs for each number.
func measureDisk(mode string, s settings) (result, error) {
	f, err := os.CreateTemp(s.data, "caddyws-bench-*")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = f.Close() }()            // nothing needs it
	if err := os.Remove(f.Name()); err != nil { // it lives until it is closed, however this process ends
		return result{}, err
	}
	if _, err := syncs(f, mode, math.MaxInt, s.warm); err != nil {
		return result{}, err
	}
	before, err := used()
	if err != nil {
		return result{}, err
	}
	phase, err := syncs(f, mode, s.limit(), s.time)
	if err != nil {
		return result{}, err
	}
	after, err := used()
	if err != nil {
		return result{}, err
	}
	res := measured(phase, after.minus(before))
	res.Allocs, res.Peak = math.NaN(), math.NaN() // this process is no server
	return res, nil
}

// syncs writes and syncs until it was done count times or the time is over.
func syncs(f *os.File, mode string, count int, d time.Duration) (load.Phase, error) {
	p := load.Phase{Latency: hdrhistogram.New(1, 60_000_000, 3)}
	block := make([]byte, syncSize)
	for begin := time.Now(); p.Count < count && p.Took < d; p.Took = time.Since(begin) {
		at := time.Now()
		if err := writeBlock(f, mode, block); err != nil {
			return p, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return p, err
		}
		p.Count++
		if err := p.Latency.RecordValue(max(1, time.Since(at).Microseconds())); err != nil {
			return p, err
		}
	}
	return p, nil
}

func writeBlock(f *os.File, mode string, block []byte) error {
	block[0]++ // else the disk might find that nothing has changed
	if mode == peers.DiskOverwrite {
		_, err := f.WriteAt(block, 0)
		return err
	}
	_, err := f.Write(block)
	return err
}

// errInMemory: syncing costs nothing there, and so measures nothing.
var errInMemory = errors.New("it is in memory; name a folder on a disk with -data")

// fileSystem returns the name of a folder's file system, which must be on a disk.
func fileSystem(folder string) (string, error) {
	var info unix.Statfs_t
	if err := unix.Statfs(folder, &info); err != nil {
		return "", fmt.Errorf("looking at %s: %w", folder, err)
	}
	switch info.Type {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return "", fmt.Errorf("storing in %s: %w", folder, errInMemory)
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", nil
	case unix.XFS_SUPER_MAGIC:
		return "xfs", nil
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", nil
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay", nil
	}
	return fmt.Sprintf("file system %#x", info.Type), nil
}
