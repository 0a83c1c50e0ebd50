package measure

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// checkHost refuses another machine than this one. All addresses of a name count, since
// each may be connected to.
func checkHost(ctx context.Context, host string) error {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("looking up the host: %w", err)
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("looking up the addresses of this machine: %w", err)
	}
	for _, address := range addresses {
		if address = address.Unmap().WithZone(""); !isHere(address, own) {
			return fmt.Errorf("%s (%s) is not this machine, and bench puts load on it: add --yes if that is meant", host, address)
		}
	}
	return nil
}

// isHere reports whether an address is one of this machine.
func isHere(address netip.Addr, own []net.Addr) bool {
	if address.IsLoopback() || address.IsUnspecified() {
		return true
	}
	for _, one := range own {
		prefix, err := netip.ParsePrefix(one.String())
		if err == nil && prefix.Addr().Unmap().WithZone("") == address {
			return true
		}
	}
	return false
}
