package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// claims is what a stack takes for itself in the LAN.
type claims struct {
	domain    string
	addresses []string // hosts and addresses of nodes
	pool      addressRange
	hasPool   bool
}

// compareWithSiblings refuses what another stack of the project claims already.
func (c *checker) compareWithSiblings(siblings map[string]map[string]any) {
	own := c.claims()
	for _, stack := range slices.Sorted(maps.Keys(siblings)) {
		if stack == c.cfg.Stack {
			continue
		}
		other := claimsOf(siblings[stack])
		where := "Pulumi." + stack + ".yaml"
		if own.domain != "" && own.domain == other.domain {
			c.add(SiblingDomain, "domain", own.domain, "stack %s has this domain (%s); give each stack its own", stack, where)
		}
		for i, node := range c.cfg.Cluster.Nodes {
			for _, at := range []struct{ key, value string }{{"host", node.Host}, {"address", node.Address}} {
				path := fmt.Sprintf("cluster.nodes[%d].%s", i, at.key)
				if at.value != "" && slices.Contains(other.addresses, at.value) && c.fine(fmt.Sprintf("cluster.nodes[%d].host", i)) {
					c.add(SiblingNode, path, at.value, "stack %s has this node (%s); one machine carries one cluster", stack, where)
				}
			}
		}
		if own.hasPool && other.hasPool && own.pool.overlaps(other.pool) {
			c.add(SiblingRange, "network.loadBalancerRange", c.cfg.Network.LoadBalancerRange,
				"overlaps that of stack %s (%s); two clusters must not answer for one address", stack, where)
		}
	}
}

func (c *checker) claims() claims { return claimsFrom(c.cfg) }

// claimsOf reads another stack's claims; what is wrong there is told when that stack is loaded.
func claimsOf(keys map[string]any) claims {
	other := &Config{}
	reader := &checker{cfg: other}
	reader.decode(keys)
	other.applyDefaults()
	return claimsFrom(other)
}

func claimsFrom(cfg *Config) claims {
	claimed := claims{domain: cfg.Domain}
	for _, node := range cfg.Cluster.Nodes {
		for _, address := range []string{node.Host, node.Address} {
			if address != "" {
				claimed.addresses = append(claimed.addresses, address)
			}
		}
	}
	if address, err := netip.ParseAddr(cfg.Cluster.Endpoint); err == nil && !slices.Contains(claimed.addresses, address.String()) {
		claimed.addresses = append(claimed.addresses, address.String())
	}
	// A stack file without nodes is not in use yet; the default range does not count for it.
	if pool, err := parseRange(cfg.Network.LoadBalancerRange); err == nil && len(cfg.Cluster.Nodes) > 0 {
		claimed.pool, claimed.hasPool = pool, true
	}
	return claimed
}
