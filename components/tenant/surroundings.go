package tenant

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/homelab-ai/homelab-ai/config"
)

const (
	// apiServerPort is where K3s serves the Kubernetes API on every server.
	apiServerPort = 6443
	// ingressNamespace is where the ingress controller runs.
	ingressNamespace = "nginx-ingress"
	// nodeSubnetBits is the size of the pod subnet that Kubernetes gives each node
	// (kube-controller-manager --node-cidr-mask-size-ipv4, which K3s leaves at 24).
	nodeSubnetBits = 24
	// maxNodeSubnets bounds the ranges that one policy lists: all node subnets of a /16.
	maxNodeSubnets = 256
)

// Surroundings are the facts about the cluster and its network that flows are rendered from.
type Surroundings struct {
	// ServerAddresses are the IPv4 addresses under which the API server answers: those of the servers, and the
	// cluster's endpoint where that is an address of its own.
	ServerAddresses []string
	// NodeAddresses are the IPv4 addresses of all nodes, servers included.
	NodeAddresses []string
	// APIServerPort is the API server's TCP port on those addresses.
	APIServerPort int
	// PodCIDR, ServiceCIDR and LANCIDR are the IPv4 ranges of pods, Services and the lab's network.
	PodCIDR, ServiceCIDR, LANCIDR string
	// IngressNamespace is where the ingress controller runs.
	IngressNamespace string
	// ClusterDNS is the cluster address of the DNS service: the tenth of ServiceCIDR, where K3s puts it.
	ClusterDNS string
}

// Around returns the surroundings that a configuration describes.
func Around(cfg *config.Config) *Surroundings {
	s := &Surroundings{
		APIServerPort:    apiServerPort,
		PodCIDR:          cfg.Cluster.PodCIDR,
		ServiceCIDR:      cfg.Cluster.ServiceCIDR,
		LANCIDR:          cfg.Network.LANCIDR,
		IngressNamespace: ingressNamespace,
		ClusterDNS:       nthAddress(cfg.Cluster.ServiceCIDR, 10),
	}
	for _, node := range cfg.Cluster.Nodes {
		address := node.Address
		if address == "" {
			address = node.Host
		}
		s.NodeAddresses = append(s.NodeAddresses, address)
		if node.Role == "server" {
			s.ServerAddresses = append(s.ServerAddresses, address)
		}
	}
	// A virtual address reaches the API server too. A name cannot stand in a policy: it resolves to one of the
	// addresses that are here already.
	if _, err := netip.ParseAddr(cfg.Cluster.Endpoint); err == nil && !slices.Contains(s.ServerAddresses, cfg.Cluster.Endpoint) {
		s.ServerAddresses = append(s.ServerAddresses, cfg.Cluster.Endpoint)
	}
	return s
}

// nodeSources are the ranges that connections from a node itself (the API server, kubelet, or kube-proxy when it
// masquerades) come from. Toward a pod of another node that is the node's flannel address, the first of its pod
// subnet; toward a pod of the same node it is the bridge cni0, the second. Neither is ever a pod's address. Which
// subnet a node gets is decided at run time and changes when a node is replaced, so every possible one is listed.
// With the host-gw backend the source is the node's own address.
func (s *Surroundings) nodeSources() []string {
	ranges := hostRanges(s.NodeAddresses)
	pods, err := netip.ParsePrefix(s.PodCIDR)
	if err != nil || !pods.Addr().Is4() {
		return ranges
	}
	pods = pods.Masked()
	subnets := 1
	if spare := nodeSubnetBits - pods.Bits(); spare > 0 {
		subnets = min(1<<spare, maxNodeSubnets)
	}
	first := binary.BigEndian.Uint32(pods.Addr().AsSlice())
	for i := range subnets {
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], first+uint32(i)<<(32-nodeSubnetBits))
		ranges = append(ranges, netip.PrefixFrom(netip.AddrFrom4(address), 31).String())
	}
	return ranges
}

// apiServers are the ranges of the API server's own addresses. A policy is matched after the address of the
// `kubernetes` Service has been translated, so that Service's address would match nothing.
func (s *Surroundings) apiServers() []string { return hostRanges(s.ServerAddresses) }

// private are the ranges that are not the internet: private, shared, link-local and loopback ones, and the lab's own
// where they lie outside of those.
func (s *Surroundings) private() []string {
	ranges := []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"}
	for _, cidr := range []string{s.PodCIDR, s.ServiceCIDR, s.LANCIDR} {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			continue
		}
		inside := slices.ContainsFunc(ranges, func(r string) bool {
			known := netip.MustParsePrefix(r)
			return known.Bits() <= prefix.Bits() && known.Contains(prefix.Addr())
		})
		if !inside {
			ranges = append(ranges, prefix.Masked().String())
		}
	}
	return ranges
}

func hostRanges(addresses []string) []string {
	ranges := make([]string, 0, len(addresses))
	for _, address := range addresses {
		ranges = append(ranges, address+"/32")
	}
	return ranges
}

func nthAddress(cidr string, n uint32) string {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil || !prefix.Addr().Is4() {
		return ""
	}
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], binary.BigEndian.Uint32(prefix.Masked().Addr().AsSlice())+n)
	return netip.AddrFrom4(address).String()
}
