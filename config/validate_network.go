package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// addressRange is first to last, both included.
type addressRange struct{ first, last netip.Addr }

var (
	errRangeSyntax   = errors.New("not an address range")
	errRangeReversed = errors.New("last before first")
)

func parseRange(text string) (addressRange, error) {
	first, last, _ := strings.Cut(text, "-")
	from, err := netip.ParseAddr(first)
	if err != nil || !from.Is4() {
		return addressRange{}, errRangeSyntax
	}
	to, err := netip.ParseAddr(last)
	if err != nil || !to.Is4() {
		return addressRange{}, errRangeSyntax
	}
	if to.Less(from) {
		return addressRange{}, errRangeReversed
	}
	return addressRange{from, to}, nil
}

func (r addressRange) contains(address netip.Addr) bool {
	return address.IsValid() && !address.Less(r.first) && !r.last.Less(address)
}

func (r addressRange) overlaps(other addressRange) bool {
	return !r.last.Less(other.first) && !other.last.Less(r.first)
}

// ofNetwork returns all addresses of an IPv4 network.
func ofNetwork(network netip.Prefix) addressRange {
	first := network.Masked().Addr()
	bytes := first.As4()
	hosts := uint32(uint64(1)<<(32-network.Bits()) - 1) //nolint:gosec // at most 32 bits
	binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(bytes[:])|hosts)
	return addressRange{first, netip.AddrFrom4(bytes)}
}

// reservedDomains are answered by something else than the lab's names.
var reservedDomains = []string{"local", "localhost", "invalid", "onion", "cluster.local", "in-addr.arpa", "ip6.arpa"}

func (c *checker) validateDomain() {
	domain := c.cfg.Domain
	if !c.required("domain", domain, "say the DNS suffix of the lab's URLs, such as lab.home.arpa") {
		return
	}
	top := domain[strings.LastIndex(domain, ".")+1:]
	_, numeric := strconv.Atoi(top)
	if len(validation.IsDNS1123Subdomain(domain)) > 0 || !strings.Contains(domain, ".") || numeric == nil || len(domain) > 200 {
		c.add(Domain, "domain", domain, "must be a DNS name of two labels or more in lower case, such as lab.home.arpa")
		return
	}
	for _, reserved := range reservedDomains {
		if domain == reserved || strings.HasSuffix(domain, "."+reserved) {
			c.add(DomainReserved, "domain", domain,
				"names below %s are answered by something else (.local by multicast DNS); take one below home.arpa or your own", reserved)
			return
		}
	}
}

// requireProtect runs before defaults, which hide whether the stack said it.
func (c *checker) requireProtect() {
	if c.cfg.Protect == nil {
		c.add(Required, "protect", "", "say true where data must survive a mistake, false on a stack that may be thrown away")
	}
}

func (c *checker) validateNetwork() {
	cfg := c.cfg
	network := &cfg.Network
	lan := netip.Prefix{}
	if c.required("network.lanCIDR", network.LANCIDR, "say the range of your home network, such as 192.168.1.0/24") {
		lan = c.cidr("network.lanCIDR", network.LANCIDR)
	}
	pods := c.cidr("cluster.podCIDR", cfg.Cluster.PodCIDR)
	services := c.cidr("cluster.serviceCIDR", cfg.Cluster.ServiceCIDR)
	c.validateClusterRanges(pods, services, lan)
	gateway := netip.Addr{}
	if c.required("network.gateway", network.Gateway, "say the address of your router, such as 192.168.1.1") {
		gateway = c.address("network.gateway", network.Gateway)
	}
	if gateway.IsValid() && lan.IsValid() && !lan.Contains(gateway) {
		c.add(GatewayOutsideLAN, "network.gateway", network.Gateway, "is not in network.lanCIDR (%s); correct one of the two", lan)
	}
	c.validateRange(pods, services, lan, gateway)
	for i, source := range network.AllowedSources {
		if source != network.LANCIDR && source != cfg.Cluster.PodCIDR { // the default repeats what is checked above
			c.cidr(fmt.Sprintf("network.allowedSources[%d]", i), source)
		}
	}
	c.unique("network.allowedSources", network.AllowedSources)
	if len(network.AllowedSources) == 0 {
		c.add(Required, "network.allowedSources", "", "list the ranges that may reach the ingress, or leave the key out; 0.0.0.0/0 is everyone")
	}
	for i, server := range network.DNSServers {
		c.address(fmt.Sprintf("network.dnsServers[%d]", i), server)
	}
	c.unique("network.dnsServers", network.DNSServers)
	for i, name := range network.Interfaces {
		if !interfaceName.MatchString(name) {
			c.add(Interface, fmt.Sprintf("network.interfaces[%d]", i), name, "must be a network interface, such as eth0 or enp3s0")
		}
	}
	c.unique("network.interfaces", network.Interfaces)
	if !bodySize.MatchString(network.BodySize) {
		c.add(BodySize, "network.bodySize", network.BodySize, "must be a number with k, m or g, such as 512m; 0 is no limit")
	}
}

var (
	interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)
	bodySize      = regexp.MustCompile(`^(0|[1-9][0-9]{0,8}[kKmMgG]?)$`)
)

// validateClusterRanges checks the ranges of pods and Services against the LAN and each other.
func (c *checker) validateClusterRanges(pods, services, lan netip.Prefix) {
	overlap := func(path, value, other string, a, b netip.Prefix) {
		if a.IsValid() && b.IsValid() && a.Overlaps(b) {
			c.add(CIDROverlap, path, value, "overlaps %s (%s); take another private range, such as %s", other, b, freeRange(pods, services, lan))
		}
	}
	overlap("cluster.podCIDR", c.cfg.Cluster.PodCIDR, "network.lanCIDR", pods, lan)
	overlap("cluster.serviceCIDR", c.cfg.Cluster.ServiceCIDR, "network.lanCIDR", services, lan)
	overlap("cluster.serviceCIDR", c.cfg.Cluster.ServiceCIDR, "cluster.podCIDR", services, pods)
	// K3s gives each node a /24 of the pods' range.
	if nodes := len(c.cfg.Cluster.Nodes); pods.IsValid() && (pods.Bits() < 8 || pods.Bits() > 24 || 1<<(24-pods.Bits()) < nodes) {
		c.add(PodCIDRSize, "cluster.podCIDR", c.cfg.Cluster.PodCIDR,
			"must be between /8 and /24 and hold a /24 for each node (there are %d); /16 is plenty", nodes)
	}
	// The API server takes no more than 20 bits of host part.
	if services.IsValid() && (services.Bits() < 12 || services.Bits() > 24) {
		c.add(ServiceCIDRSize, "cluster.serviceCIDR", c.cfg.Cluster.ServiceCIDR, "must be between /12 and /24")
	}
}

// freeRange suggests a range for pods or Services that overlaps none of those in use.
func freeRange(used ...netip.Prefix) netip.Prefix {
	candidates := []string{"10.42.0.0/16", "10.43.0.0/16", "10.0.0.0/16", "172.20.0.0/16", "192.168.0.0/20", "100.64.0.0/16"}
	var free netip.Prefix
	for _, candidate := range candidates {
		free = netip.MustParsePrefix(candidate)
		if !slices.ContainsFunc(used, func(network netip.Prefix) bool { return network.IsValid() && network.Overlaps(free) }) {
			break
		}
	}
	return free
}

func (c *checker) validateRange(pods, services, lan netip.Prefix, gateway netip.Addr) {
	const path = "network.loadBalancerRange"
	network := &c.cfg.Network
	value := network.LoadBalancerRange
	addresses, err := parseRange(value)
	if errors.Is(err, errRangeReversed) {
		c.add(RangeReversed, path, value, "ends before it begins; swap the two addresses")
		return
	}
	if err != nil {
		c.add(RangeSyntax, path, value, "must be first-last without blanks, such as 192.168.1.200-192.168.1.210")
		return
	}
	for _, network := range []netip.Prefix{pods, services} {
		if network.IsValid() && addresses.overlaps(ofNetwork(network)) {
			c.add(RangeInCluster, path, value, "overlaps %s, which is for the cluster alone; take free addresses of your LAN", network)
		}
	}
	if lan.IsValid() {
		if whole := ofNetwork(lan); !whole.contains(addresses.first) || !whole.contains(addresses.last) {
			c.add(RangeForeign, path, value, "is not in network.lanCIDR (%s); take free addresses of your LAN", lan)
		} else if addresses.contains(whole.first) || addresses.contains(whole.last) {
			c.add(RangeReserved, path, value, "holds the network or the broadcast address of %s; leave them out", lan)
		}
	}
	if addresses.contains(gateway) {
		c.add(RangeHoldsGateway, path, value, "holds the router, network.gateway (%s); leave it out", gateway)
	}
	for i, node := range c.cfg.Cluster.Nodes {
		if address, err := netip.ParseAddr(node.Address); err == nil && addresses.contains(address) {
			c.add(RangeHoldsNode, path, value, "holds cluster.nodes[%d] (%s, %s); leave it out", i, node.Name, address)
		}
	}
	if address, err := netip.ParseAddr(c.cfg.Cluster.Endpoint); err == nil && addresses.contains(address) {
		c.add(RangeHoldsEndpoint, path, value, "holds cluster.endpoint (%s), which your servers' failover announces; leave it out", address)
	}
	inRange := func(path, value string) {
		if address := c.address(path, value); address.IsValid() && !addresses.contains(address) {
			c.add(AddressOutsideRange, path, value, "must be an address of network.loadBalancerRange (%s)", network.LoadBalancerRange)
		}
	}
	inRange("network.ingressAddress", network.IngressAddress)
	if network.GitLabSSHAddress != network.IngressAddress {
		inRange("network.gitlabSSHAddress", network.GitLabSSHAddress)
	}
}

// namedHost is a URL of the lab.
type namedHost struct{ path, host string }

// hosts returns the URLs of what is switched on.
func (c *Config) hosts() []namedHost {
	var hosts []namedHost
	add := func(on bool, path, host string) {
		if on {
			hosts = append(hosts, namedHost{path, host})
		}
	}
	add(c.GitOps.On(), "gitops.host", c.GitOps.Host)
	add(c.Services.GitLab.On(), "services.gitlab.host", c.Services.GitLab.Host)
	add(c.Services.GitLab.On(), "services.gitlab.registryHost", c.Services.GitLab.RegistryHost)
	add(c.Services.Jupyter.On(), "services.jupyter.host", c.Services.Jupyter.Host)
	add(c.Services.Ollama.API.Enabled, "services.ollama.api.host", c.Services.Ollama.API.Host)
	add(c.Services.OpenWebUI.On(), "services.openWebUI.host", c.Services.OpenWebUI.Host)
	add(c.Services.Monitoring.On(), "services.monitoring.host", c.Services.Monitoring.Host)
	return hosts
}

// validateHosts checks the URLs: one certificate, *.<domain>, serves them all, and one host has one Ingress.
func (c *checker) validateHosts() {
	if !c.fine("domain") {
		return
	}
	var seen []string
	for _, h := range c.cfg.hosts() {
		label, ok := strings.CutSuffix(h.host, "."+c.cfg.Domain)
		if !ok || len(validation.IsDNS1123Label(label)) > 0 {
			c.add(Host, h.path, h.host, "must be one label in lower case before .%s, which the lab's certificate covers", c.cfg.Domain)
		}
		if slices.Contains(seen, h.host) {
			c.add(HostDuplicate, h.path, h.host, "serves something else already; one host has one Ingress")
		}
		seen = append(seen, h.host)
	}
}
