package k3s

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/homelab-ai/homelab-ai/config"
)

// publicKey makes a host key and returns its public half as authorized_keys has it.
func publicKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	key, err := ssh.NewPublicKey(public)
	require.NoError(t, err)
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// lab is a config after defaults, with the nodes given as name=role.
func lab(t *testing.T, nodes ...string) *config.Config {
	t.Helper()
	on := true
	cfg := &config.Config{
		Stack: "staging", Domain: "lab.home.arpa",
		Cluster: config.Cluster{
			SSH:      config.SSH{User: "root", Port: 22, Agent: &on},
			Endpoint: "192.168.1.20", PodCIDR: "10.0.0.0/16", ServiceCIDR: "10.1.0.0/16",
			FlannelBackend: "wireguard-native", DataDir: "/var/lib/rancher/k3s", Generation: 1, KubeconfigGeneration: 1,
			BinaryMirror: "https://mirror.home.arpa/k3s",
			Minimum:      config.Minimum{Cores: 1, Memory: "64Mi", Disk: "1Mi", ClockSkew: "5s"},
			Snapshots:    config.Snapshots{Schedule: "0 */12 * * *", Retention: 10},
		},
		Network:  config.Network{IngressAddress: "192.168.1.200"},
		Storage:  config.Storage{Class: "local-path", Path: "/var/lib/rancher/k3s/storage"},
		Security: config.Security{AuditRetention: 30},
		Versions: config.Catalogue{K3s: config.K3s{
			Version: "v1.36.4+k3s1",
			SHA256:  map[string]string{"amd64": strings.Repeat("a", 64), "arm64": strings.Repeat("b", 64)},
		}},
	}
	cfg.Services.GitLab.Enabled = &on
	cfg.Services.GitLab.Host, cfg.Services.GitLab.RegistryHost = "gitlab.lab.home.arpa", "registry.lab.home.arpa"
	for i, pair := range nodes {
		name, role, _ := strings.Cut(pair, "=")
		address := "192.168.1." + string(rune('2')) + string(rune('0'+i))
		cfg.Cluster.Nodes = append(cfg.Cluster.Nodes, config.Node{
			Name: name, Role: role, Host: address, Address: address, HostKey: publicKey(t), User: "root", Port: 22, GPU: "none",
		})
	}
	return cfg
}

func hostsOf(t *testing.T, cfg *config.Config) []*host {
	t.Helper()
	hosts, err := newHosts(cfg, true)
	require.NoError(t, err)
	return hosts
}

// stepsOf lists every kind of step for the nodes of a config.
func stepsOf(t *testing.T, cfg *config.Config) map[string]*step {
	t.Helper()
	hosts := hostsOf(t, cfg)
	steps := map[string]*step{"ca": caStep(cfg), "token": tokenStep(cfg), "kubeconfig": kubeconfigStep(cfg)}
	for _, h := range hosts {
		steps["preflight-"+h.node.Name] = preflightStep(cfg, hosts, h)
		steps["prepare-"+h.node.Name] = prepareStep(cfg, h)
		steps["install-"+h.node.Name] = installStep(cfg, hosts, h)
		steps["probe-"+h.node.Name] = probeStep(h)
		if h.node.Role == "agent" {
			steps["drain-"+h.node.Name] = drainStep(cfg, h)
			steps["ready-"+h.node.Name] = readyStep(cfg, h)
		}
	}
	return steps
}
