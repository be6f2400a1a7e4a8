package k3s

import (
	"embed"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/homelab-ai/homelab-ai/config"
)

//go:embed files
var files embed.FS

// file is the content of a file that is the same on every host.
func file(name string) string {
	content, err := files.ReadFile("files/" + name)
	if err != nil {
		panic(err) // the files are part of the program
	}
	return strings.TrimSuffix(string(content), "\n")
}

// joinTokenPath is where nodes that join keep the token.
const joinTokenPath = "/etc/homelab-ai/join-token" //nolint:gosec // a path

// sysctls are what the kubelet demands under protect-kernel-defaults, and room for the file watches of many pods.
const sysctls = `vm.panic_on_oom = 0
vm.overcommit_memory = 1
kernel.panic = 10
kernel.panic_on_oops = 1
kernel.keys.root_maxkeys = 1000000
kernel.keys.root_maxbytes = 25000000
fs.inotify.max_user_instances = 8192
fs.inotify.max_user_watches = 524288`

// settings renders /etc/rancher/k3s/config.yaml of a node.
func settings(cfg *config.Config, node *config.Node, first bool) string {
	cluster := cfg.Cluster
	values := map[string]any{
		"node-name":               node.Name,
		"node-ip":                 node.Address,
		"data-dir":                cluster.DataDir,
		"protect-kernel-defaults": true,
		"kubelet-arg": []string{
			"streaming-connection-idle-timeout=5m",
			"tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256," +
				"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		},
	}
	labels := map[string]string{}
	if node.GPU == "nvidia" {
		labels["nvidia.com/gpu.present"] = "true"
	}
	labels = merge(labels, node.Labels)
	if len(labels) > 0 {
		values["node-label"] = pairs(labels)
	}
	if len(node.Taints) > 0 {
		values["node-taint"] = node.Taints
	}
	if !first {
		values["server"] = "https://" + hostInURL(cfg.APIEndpoint()) + ":6443"
		values["token-file"] = joinTokenPath
	}
	if node.Role == "server" {
		for key, value := range serverSettings(cfg) {
			values[key] = value
		}
		if first {
			values["cluster-init"] = true
		}
	}
	text, err := yaml.Marshal(values)
	if err != nil {
		panic(err) // strings, lists and booleans only
	}
	return "# Written by homelab-ai; a change made here is undone by the next update.\n" + strings.TrimSuffix(string(text), "\n")
}

// serverSettings are the same on all servers, as etcd and the certificates demand.
func serverSettings(cfg *config.Config) map[string]any {
	cluster := cfg.Cluster
	return map[string]any{
		"cluster-cidr":                cluster.PodCIDR,
		"service-cidr":                cluster.ServiceCIDR,
		"cluster-dns":                 cfg.ClusterDNS(),
		"flannel-backend":             cluster.FlannelBackend,
		"disable":                     []string{"traefik", "servicelb"},
		"tls-san":                     names(cfg),
		"write-kubeconfig-mode":       "0600",
		"secrets-encryption":          true,
		"secrets-encryption-provider": "secretbox",
		"default-local-storage-path":  cfg.Storage.Path,
		"etcd-snapshot-schedule-cron": cluster.Snapshots.Schedule,
		"etcd-snapshot-retention":     cluster.Snapshots.Retention,
		"kube-apiserver-arg": []string{
			"enable-admission-plugins=NodeRestriction,EventRateLimit",
			"admission-control-config-file=/etc/rancher/k3s/psa.yaml",
			"audit-policy-file=/etc/rancher/k3s/audit.yaml",
			"audit-log-path=" + cluster.DataDir + "/server/logs/audit.log",
			"audit-log-maxage=" + strconv.Itoa(cfg.Security.AuditRetention),
			"audit-log-maxbackup=10",
			"audit-log-maxsize=100",
			"service-account-extend-token-expiration=false",
		},
		"kube-controller-manager-arg": []string{"terminated-pod-gc-threshold=100"},
	}
}

// names are what the API server's certificate is valid for, beside K3s's own.
func names(cfg *config.Config) []string {
	var result []string
	seen := map[string]bool{"": true}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			result = append(result, name)
		}
	}
	add(cfg.APIEndpoint())
	for _, server := range cfg.Servers() {
		add(server.Name)
		add(server.Host)
		add(server.Address)
	}
	return result
}

// pairs renders a map as key=value, sorted.
func pairs(values map[string]string) []string {
	var result []string
	for _, line := range strings.Split(strings.TrimSuffix(assignments(values), "\n"), "\n") {
		key, _, _ := strings.Cut(line, "=")
		result = append(result, key+"="+values[key])
	}
	return result
}

// registries renders /etc/rancher/k3s/registries.yaml: the nodes pull from the lab's own registry and trust its CA.
func registries(cfg *config.Config) string {
	values := map[string]any{}
	if cfg.Services.GitLab.On() {
		values["configs"] = map[string]any{
			cfg.Services.GitLab.RegistryHost: map[string]any{"tls": map[string]any{"ca_file": "/etc/homelab-ai/ca/ca.crt"}},
		}
	}
	text, err := yaml.Marshal(values)
	if err != nil {
		panic(err) // strings only
	}
	return strings.TrimSuffix(string(text), "\n")
}

// hostEntries are the lines of /etc/hosts that lead from a node to the lab's services.
func hostEntries(cfg *config.Config) string {
	services := cfg.Services
	var lines []string
	add := func(on bool, host string) {
		if on && host != "" {
			lines = append(lines, cfg.Network.IngressAddress+" "+host)
		}
	}
	add(services.GitLab.On(), services.GitLab.Host)
	add(services.GitLab.On(), services.GitLab.RegistryHost)
	add(services.Jupyter.On(), services.Jupyter.Host)
	add(services.OpenWebUI.On(), services.OpenWebUI.Host)
	add(services.Ollama.On() && services.Ollama.API.Enabled, services.Ollama.API.Host)
	add(services.Monitoring.On(), services.Monitoring.Host)
	add(cfg.GitOpsEnabled(), cfg.GitOps.Host)
	return strings.Join(lines, "\n")
}
