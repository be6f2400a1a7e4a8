package k3s

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/homelab-ai/homelab-ai/config"
)

// unit is the systemd unit of a node, without its suffix.
func unit(node *config.Node) string {
	if node.Role == "agent" {
		return "k3s-agent"
	}
	return "k3s"
}

// modules are the kernel modules that K3s and its pod network need.
func modules(cfg *config.Config) string {
	names := "br_netfilter overlay nf_conntrack"
	switch cfg.Cluster.FlannelBackend {
	case "wireguard-native":
		names += " wireguard"
	case "vxlan":
		names += " vxlan"
	}
	return names
}

// ports are what must be free on a node before K3s is installed.
func ports(cfg *config.Config, node *config.Node) string {
	list := "tcp/10250"
	if node.Role == "server" {
		list += " tcp/6443 tcp/2379 tcp/2380"
	}
	switch cfg.Cluster.FlannelBackend {
	case "wireguard-native":
		list += " udp/51820"
	case "vxlan":
		list += " udp/8472"
	}
	return list
}

func yesNo(condition bool) string {
	if condition {
		return "yes"
	}
	return "no"
}

// quantity is the number of bytes of a quantity, which the config has validated.
func quantity(text string) string {
	value, err := resource.ParseQuantity(text)
	if err != nil {
		return "0"
	}
	return strconv.FormatInt(value.Value(), 10)
}

// removal is what the removal of K3s has to know.
func removal(cfg *config.Config, node *config.Node) map[string]string {
	return map[string]string{
		"NODE_NAME":    node.Name,
		"ROLE":         node.Role,
		"ALONE":        yesNo(len(cfg.Servers()) == 1),
		"DATA_DIR":     cfg.Cluster.DataDir,
		"STORAGE_PATH": cfg.Storage.Path,
	}
}

// binary is where the pinned binary comes from.
func binary(cfg *config.Config) map[string]string {
	release := cfg.Versions.K3s
	return map[string]string{
		"VERSION":      release.Version,
		"SHA256_AMD64": strings.ToLower(release.SHA256["amd64"]),
		"SHA256_ARM64": strings.ToLower(release.SHA256["arm64"]),
		"MIRROR":       strings.TrimRight(cfg.Cluster.BinaryMirror, "/"),
	}
}

func merge(all ...map[string]string) map[string]string {
	result := map[string]string{}
	for _, one := range all {
		maps.Copy(result, one)
	}
	return result
}

// preflightStep looks at a host. It concerns all that will be done there, so that it runs again when any of it changes.
func preflightStep(cfg *config.Config, hosts []*host, h *host) *step {
	minimum := cfg.Cluster.Minimum
	skew, err := time.ParseDuration(minimum.ClockSkew)
	if err != nil {
		skew = 0 // the config has validated it
	}
	concerns := sha256.Sum256([]byte(prepareStep(cfg, h).declared() + installStep(cfg, hosts, h).declared()))
	var peers []string
	if h == hosts[0] {
		for _, other := range cfg.Servers() {
			if other.Name != h.node.Name {
				peers = append(peers, other.Address+":6443")
			}
		}
	}
	return &step{
		verb: "preflight", remove: "clean", demandSudo: true,
		scripts: []string{"files.sh", "packages.sh", "release.sh", "remove.sh", "preflight.sh"},
		lock:    hostLock, limit: 10 * time.Minute,
		params: merge(removal(cfg, &h.node), binary(cfg), map[string]string{
			"CONCERNS":         hex.EncodeToString(concerns[:]),
			"UNIT":             unit(&h.node),
			"MODULES":          modules(cfg),
			"PORTS":            ports(cfg, &h.node),
			"PEERS":            strings.Join(peers, " "),
			"GPU":              h.node.GPU,
			"INSTALL_DRIVER":   yesNo(cfg.Cluster.NVIDIA.InstallDriver),
			"MIN_CORES":        strconv.Itoa(minimum.Cores),
			"MIN_MEMORY":       minimum.Memory,
			"MIN_MEMORY_BYTES": quantity(minimum.Memory),
			"MIN_DISK":         minimum.Disk,
			"MIN_DISK_BYTES":   quantity(minimum.Disk),
			"CLOCK_SKEW":       minimum.ClockSkew,
			"HALF_CLOCK_SKEW":  strconv.Itoa(int(skew.Seconds() / 2)),
		}),
	}
}

// caStep makes the lab's CA. It stays as it is for years, so that what depends on its output stays known in previews.
func caStep(cfg *config.Config) *step {
	return &step{
		verb: "ca", scripts: []string{"packages.sh", "ca.sh"}, lock: hostLock, limit: 10 * time.Minute,
		params: map[string]string{"CA_SETTINGS": strings.Join([]string{
			"[req]",
			"prompt = no",
			"distinguished_name = name",
			"x509_extensions = authority",
			"[name]",
			"O = homelab-ai",
			"CN = " + cfg.Domain + " lab CA",
			"[authority]",
			"basicConstraints = critical, CA:TRUE",
			"keyUsage = critical, keyCertSign, cRLSign, digitalSignature",
			"subjectKeyIdentifier = hash",
		}, "\n")},
	}
}

// prepareStep makes a host ready for K3s.
func prepareStep(cfg *config.Config, h *host) *step {
	toolkit := cfg.Versions.Host.NVIDIAContainerToolkit
	return &step{
		verb: "prepare", watched: true, scripts: []string{"files.sh", "packages.sh", "prepare.sh"}, lock: hostLock, limit: time.Hour,
		params: map[string]string{
			"NODE_NAME":          h.node.Name,
			"MODULES":            modules(cfg),
			"SYSCTL":             sysctls,
			"TIME_SERVERS":       strings.Join(cfg.Cluster.TimeServers, " "),
			"HOSTS":              hostEntries(cfg),
			"GPU":                h.node.GPU,
			"INSTALL_DRIVER":     yesNo(cfg.Cluster.NVIDIA.InstallDriver),
			"TOOLKIT_VERSION":    toolkit.Version,
			"TOOLKIT_KEY_SHA256": strings.ToLower(toolkit.KeySHA256),
		},
	}
}

// installStep installs, configures, upgrades and removes K3s on a host.
func installStep(cfg *config.Config, hosts []*host, h *host) *step {
	params := merge(removal(cfg, &h.node), binary(cfg), map[string]string{
		"UNIT":       unit(&h.node),
		"CONFIG":     settings(cfg, &h.node, h == hosts[0]),
		"REGISTRIES": registries(cfg),
		"UNIT_FILE":  file(unit(&h.node) + ".service"),
		"ADMISSION":  "",
		"AUDIT":      "",
	})
	if h.node.Role == "server" {
		params["ADMISSION"], params["AUDIT"] = file("admission.yaml"), file("audit.yaml")
	}
	if h.node.GPU == "nvidia" {
		// K3s looks for the runtime when it starts.
		params["TOOLKIT_VERSION"] = cfg.Versions.Host.NVIDIAContainerToolkit.Version
	}
	return &step{
		verb: "install", remove: "uninstall", watched: true,
		scripts: []string{"files.sh", "packages.sh", "release.sh", "remove.sh", "install.sh"},
		lock:    hostLock, limit: time.Hour, params: params,
	}
}

// tokenStep reads the token that nodes join with.
func tokenStep(cfg *config.Config) *step {
	return &step{
		verb: "token", scripts: []string{"token.sh"}, lock: hostLock, limit: 5 * time.Minute,
		params: map[string]string{"DATA_DIR": cfg.Cluster.DataDir},
	}
}

// kubeconfigStep reads the kubeconfig. Nothing but its generation and the endpoint may change it: while a command is to
// be updated its output is unknown, and the provider's kubeconfig with it.
func kubeconfigStep(cfg *config.Config) *step {
	return &step{
		verb: "kubeconfig", scripts: []string{"kubeconfig.sh"}, lock: hostLock, limit: 5 * time.Minute,
		params: map[string]string{
			"ENDPOINT":   hostInURL(cfg.APIEndpoint()),
			"GENERATION": strconv.Itoa(cfg.Cluster.Generation) + "." + strconv.Itoa(cfg.Cluster.KubeconfigGeneration),
		},
	}
}

// drainStep empties an agent before its upgrade, and forgets it when it has left. It changes with the version alone.
func drainStep(cfg *config.Config, h *host) *step {
	s := nodeStep(cfg, h, "drain", 50*time.Minute)
	s.remove = "forget"
	return s
}

// readyStep waits for an agent and makes it schedulable again.
func readyStep(cfg *config.Config, h *host) *step {
	return nodeStep(cfg, h, "ready", 20*time.Minute)
}

// nodeStep runs on the first server for another node. It has a lock of its own, since it may wait for other nodes.
func nodeStep(cfg *config.Config, h *host, verb string, limit time.Duration) *step {
	return &step{
		verb: verb, scripts: []string{"node.sh"}, lock: "/run/lock/homelab-ai-node-" + h.node.Name + ".lock", limit: limit,
		params: map[string]string{"NODE_NAME": h.node.Name, "VERSION": cfg.Versions.K3s.Version},
	}
}

// probeStep asks a host whether it is still as the steps left it.
func probeStep(h *host) *step {
	return &step{
		verb: "probe", scripts: []string{"files.sh", "probe.sh"},
		params: map[string]string{"UNIT": unit(&h.node)},
	}
}

// hostInURL puts an IPv6 address into brackets.
func hostInURL(name string) string {
	if address, err := netip.ParseAddr(name); err == nil && address.Is6() {
		return "[" + name + "]"
	}
	return name
}
