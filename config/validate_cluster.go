package config

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/util/validation"
)

func (c *checker) validateCluster() {
	cluster := &c.cfg.Cluster
	c.count("cluster.minimum.cores", cluster.Minimum.Cores, 1, 1024)
	c.quantity("cluster.minimum.memory", cluster.Minimum.Memory)
	c.quantity("cluster.minimum.disk", cluster.Minimum.Disk)
	c.duration("cluster.minimum.clockSkew", cluster.Minimum.ClockSkew)
	c.validateServers()
	for i := range cluster.Nodes {
		c.validateNode(i)
	}
	c.validateHostKeys()
	c.validateSSH()
	c.validateEndpoint()
	c.oneOf(FlannelBackend, "cluster.flannelBackend", cluster.FlannelBackend, "vxlan", "wireguard-native", "host-gw")
	c.absolutePath("cluster.dataDir", cluster.DataDir)
	c.count("cluster.generation", cluster.Generation, 1, 1_000_000)
	c.count("cluster.kubeconfigGeneration", cluster.KubeconfigGeneration, 1, 1_000_000)
	if cluster.CoreReplicas < 1 || cluster.CoreReplicas > max(1, len(cluster.Nodes)) {
		c.add(CoreReplicas, "cluster.coreReplicas", strconv.Itoa(cluster.CoreReplicas),
			"must be between 1 and the number of nodes (%d); more would share a node and fail with it", len(cluster.Nodes))
	}
	// The binary's checksum is verified, so plain HTTP is good enough for a mirror in the LAN.
	c.url(URL, "cluster.binaryMirror", cluster.BinaryMirror, "https", "http")
	for i, server := range cluster.TimeServers {
		c.host(HostName, fmt.Sprintf("cluster.timeServers[%d]", i), server)
	}
	c.unique("cluster.timeServers", cluster.TimeServers)
	c.oneOf(GPUSharing, "cluster.nvidia.sharing", cluster.NVIDIA.Sharing, "none", "time-slicing", "mps")
	c.count("cluster.nvidia.replicas", cluster.NVIDIA.Replicas, 2, 32)
	c.cron("cluster.snapshots.schedule", cluster.Snapshots.Schedule)
	c.count("cluster.snapshots.retention", cluster.Snapshots.Retention, 1, 1000)
}

func (c *checker) validateServers() {
	const path = "cluster.nodes"
	nodes := c.cfg.Cluster.Nodes
	if len(nodes) == 0 {
		c.add(NoServer, path, "", "list at least one node with role: server")
		return
	}
	servers := 0
	for _, node := range nodes {
		switch node.Role {
		case "server":
			servers++
		case "agent":
		default:
			return // counting makes no sense before every role is known; validateNode tells
		}
	}
	switch {
	case servers == 0:
		c.add(NoServer, path, "0 servers", "give one node the role server")
	case servers%2 == 0:
		c.add(ServerCount, path, fmt.Sprintf("%d servers", servers),
			"etcd needs an odd number of servers: an even number survives no more failures than one less, and two survive none; "+
				"use %d or %d, and make the others agents", servers-1, servers+1)
	}
}

// reservedLabels are the prefixes of labels that the kubelet refuses to set on its own node.
var reservedLabels = []string{"kubernetes.io", "k8s.io"}

// kubeletLabels are exceptions: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
var kubeletLabels = []string{
	"kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "node.kubernetes.io/instance-type",
	"topology.kubernetes.io/region", "topology.kubernetes.io/zone",
}

func (c *checker) validateNode(i int) {
	node := c.cfg.Cluster.Nodes[i]
	path := fmt.Sprintf("cluster.nodes[%d]", i)
	earlier := c.cfg.Cluster.Nodes[:i]

	if c.required(path+".name", node.Name, "name the node, such as lab-0") {
		if len(validation.IsDNS1123Label(node.Name)) > 0 || node.Name == "localhost" {
			c.add(NodeName, path+".name", node.Name, "must be of lower-case letters, digits and dashes, at most 63, and not localhost")
		}
		if slices.ContainsFunc(earlier, func(other Node) bool { return other.Name == node.Name }) {
			c.add(NodeNameDuplicate, path+".name", node.Name, "another node has this name; give each its own")
		}
	}
	if c.required(path+".role", node.Role, "say server (control plane and workloads) or agent (workloads only)") {
		c.oneOf(NodeRole, path+".role", node.Role, "server", "agent")
	}
	c.validateNodeAddress(path, node, earlier)
	c.oneOf(GPUKind, path+".gpu", node.GPU, "none", "nvidia", "amd")
	c.user(path+".user", node.User)
	c.port(path+".port", node.Port)
	for key, value := range node.Labels {
		c.label(path+".labels."+key, key, value)
	}
	for j, taint := range node.Taints {
		c.taint(fmt.Sprintf("%s.taints[%d]", path, j), taint)
	}
	c.unique(path+".taints", node.Taints)
	c.validateCapacity(path+".capacity", node.Capacity)
}

func (c *checker) validateNodeAddress(path string, node Node, earlier []Node) {
	if !c.required(path+".host", node.Host, "say the IPv4 address or DNS name that SSH connects to") ||
		!c.host(NodeHost, path+".host", node.Host) {
		return
	}
	at := path + ".host"
	if node.Address == "" {
		c.add(NodeAddress, path+".address", "", "%s is a name; say its IPv4 address in the LAN as well", node.Host)
		return
	}
	if node.Address != node.Host {
		at = path + ".address"
	}
	for _, other := range earlier {
		if other.Host == node.Host {
			c.add(NodeHostDuplicate, path+".host", node.Host, "node %s has this host; give each its own", other.Name)
		} else if other.Address == node.Address {
			c.add(NodeHostDuplicate, at, node.Address, "node %s has this address; give each its own", other.Name)
		}
	}
	address := c.address(at, node.Address)
	if !address.IsValid() {
		return
	}
	pods, services, lan := c.clusterNetworks()
	switch {
	case pods.Contains(address), services.Contains(address):
		c.add(NodeInClusterRange, at, node.Address,
			"lies in cluster.podCIDR or cluster.serviceCIDR, which are for the cluster alone; move those ranges")
	case lan.IsValid() && !lan.Contains(address):
		c.add(NodeOutsideLAN, at, node.Address, "is not in network.lanCIDR (%s); correct one of the two", lan)
	}
}

// validateCapacity checks what a node offers, as far as it does not only repeat the minimum.
func (c *checker) validateCapacity(path string, capacity Capacity) {
	minimum := c.cfg.Cluster.Minimum
	if capacity.CPU != strconv.Itoa(minimum.Cores) {
		if cpu := c.quantity(path+".cpu", capacity.CPU); cpu != nil && cpu.CmpInt64(int64(minimum.Cores)) < 0 {
			c.add(NodeTooSmall, path+".cpu", capacity.CPU, "is less than preflight demands (%d cores, cluster.minimum.cores); correct one of the two", minimum.Cores)
		}
	}
	if capacity.Memory != minimum.Memory {
		memory, least := c.quantity(path+".memory", capacity.Memory), c.quantity("cluster.minimum.memory", minimum.Memory)
		if memory != nil && least != nil && memory.Cmp(*least) < 0 {
			c.add(NodeTooSmall, path+".memory", capacity.Memory, "is less than preflight demands (%s, cluster.minimum.memory); correct one of the two", minimum.Memory)
		}
	}
	if capacity.Storage != minimum.Disk {
		c.quantity(path+".storage", capacity.Storage)
	}
	c.count(path+".gpu", *capacity.GPU, 0, 64)
}

func (c *checker) label(path, key, value string) {
	if len(validation.IsQualifiedName(key)) > 0 || len(validation.IsValidLabelValue(value)) > 0 {
		c.add(NodeLabel, path, value, "must be a Kubernetes label: key or prefix/key, and a value of at most 63 letters, digits, - _ .")
		return
	}
	prefix, _, found := strings.Cut(key, "/")
	if !found || slices.Contains(kubeletLabels, key) ||
		strings.HasSuffix(prefix, "kubelet.kubernetes.io") || strings.HasSuffix(prefix, "node.kubernetes.io") {
		return
	}
	for _, reserved := range reservedLabels {
		if prefix == reserved || strings.HasSuffix(prefix, "."+reserved) {
			c.add(NodeLabelReserved, path, value, "a kubelet may not set labels of %s on its node; use a prefix of your own", prefix)
		}
	}
}

func (c *checker) taint(path, taint string) {
	key, rest, hasValue := strings.Cut(taint, "=")
	value, effect, hasEffect := strings.Cut(rest, ":")
	if !hasValue || !hasEffect || len(validation.IsQualifiedName(key)) > 0 || len(validation.IsValidLabelValue(value)) > 0 ||
		!slices.Contains([]string{"NoSchedule", "PreferNoSchedule", "NoExecute"}, effect) {
		c.add(NodeTaint, path, taint, "must be key=value:Effect with NoSchedule, PreferNoSchedule or NoExecute")
	}
}

var userName = regexp.MustCompile(`^[a-z_][a-z0-9_.-]{0,31}$`)

func (c *checker) user(path, user string) {
	if !userName.MatchString(user) {
		c.add(SSHUser, path, user, "must be a Linux user name, such as root or lab")
	}
}

// validateHostKeys checks the keys of the nodes and of the jump host.
func (c *checker) validateHostKeys() {
	seen := map[string]string{}
	check := func(path, host, key string) {
		if key == "" {
			if !c.cfg.Cluster.SSH.InsecureIgnoreHostKeys {
				c.add(HostKeyMissing, path, "", "say the host's public key, as ssh-keyscan -t ed25519 %s prints it after the host's name; "+
					"compare it on the host itself with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub", host)
			}
			return
		}
		public, ok := c.hostKey(path, key)
		if !ok {
			return
		}
		if other, duplicate := seen[public]; duplicate {
			c.add(HostKeyDuplicate, path, key, "is the key of %s as well, as on cloned machines; "+
				"make a new one on one of them: rm /etc/ssh/ssh_host_* && ssh-keygen -A", other)
		}
		seen[public] = path
	}
	for i, node := range c.cfg.Cluster.Nodes {
		check(fmt.Sprintf("cluster.nodes[%d].hostKey", i), node.Host, node.HostKey)
	}
	if jump := c.cfg.Cluster.SSH.JumpHost; jump != nil {
		check("cluster.ssh.jumpHost.hostKey", jump.Host, jump.HostKey)
	}
}

// hostKey returns the key in its canonical form.
func (c *checker) hostKey(path, text string) (string, bool) {
	public, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		c.add(HostKey, path, text, "must be a public key: ssh-ed25519 AAAA..., without the host's name before it")
		return "", false
	}
	if public.Type() != ssh.KeyAlgoED25519 {
		c.add(HostKeyType, path, text, "is a key of type %s; take the host's ed25519 key: ssh-keyscan -t ed25519 <host>", public.Type())
		return "", false
	}
	return base64.StdEncoding.EncodeToString(public.Marshal()), true
}

func (c *checker) validateSSH() {
	const path = "cluster.ssh"
	settings := c.cfg.Cluster.SSH
	c.user(path+".user", settings.User)
	c.port(path+".port", settings.Port)
	var ways []string
	if settings.PrivateKey.IsSet() {
		ways = append(ways, "privateKey")
	}
	if settings.PrivateKeyFile != "" {
		ways = append(ways, "privateKeyFile")
	}
	if *settings.Agent {
		ways = append(ways, "agent")
	}
	keyIsBad := !c.fine(path+".privateKey", path+".privateKeyFile")
	switch {
	case keyIsBad:
	case len(ways) == 0:
		c.add(SSHKeyMissing, path, "", "say one of privateKey, privateKeyFile and agent: true")
	case len(ways) > 1:
		c.add(SSHKeyConflict, path, strings.Join(ways, ", "), "say one of privateKey, privateKeyFile and agent: true")
	}
	if settings.PrivateKeyPassphrase.IsSet() && !settings.PrivateKey.IsSet() && settings.PrivateKeyFile == "" && !keyIsBad {
		c.add(SSHPassphrase, path+".privateKeyPassphrase", redacted, "belongs to a key; set privateKey or privateKeyFile, or remove it")
	}
	if jump := settings.JumpHost; jump != nil {
		if c.required(path+".jumpHost.host", jump.Host, "say the IPv4 address or DNS name of the jump host") {
			c.host(HostName, path+".jumpHost.host", jump.Host)
		}
		c.user(path+".jumpHost.user", jump.User)
		c.port(path+".jumpHost.port", jump.Port)
	}
}

func (c *checker) validateEndpoint() {
	const path = "cluster.endpoint"
	endpoint := c.cfg.Cluster.Endpoint
	if endpoint == "" {
		if len(c.cfg.Servers()) > 2 {
			c.add(EndpointMissing, path, "", "say the DNS name or virtual address under which the API server is reached, "+
				"whichever server is down")
		}
		return
	}
	// By default it is the first server's host, which is checked where it is said.
	if servers := c.cfg.Servers(); len(servers) > 0 && servers[0].Host == endpoint {
		return
	}
	if !isHost(endpoint) {
		c.add(Endpoint, path, endpoint, "must be an IPv4 address or a DNS name, without scheme and port")
	}
}

// clusterNetworks returns the ranges that parse; the others are invalid and contain nothing.
func (c *checker) clusterNetworks() (pods, services, lan netip.Prefix) {
	parse := func(text string) netip.Prefix {
		network, err := netip.ParsePrefix(text)
		if err != nil || !network.Addr().Is4() || network != network.Masked() {
			return netip.Prefix{}
		}
		return network
	}
	return parse(c.cfg.Cluster.PodCIDR), parse(c.cfg.Cluster.ServiceCIDR), parse(c.cfg.Network.LANCIDR)
}
