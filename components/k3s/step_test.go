package k3s

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestQuoteSurvivesAShell(t *testing.T) {
	for _, text := range []string{"", "plain", "it's", "'''", "a\nb\n\nc", `$(touch x) "q" \ * ; & |`, "ü#end", "-n", strings.Repeat("x'", 2000)} {
		output, err := exec.Command("sh", "-c", "A="+quote(text)+"\nprintf '%s' \"$A\"").Output()
		require.NoError(t, err)
		assert.Equal(t, text, string(output))
	}
}

// TestScriptsAreSound checks each script as a host gets it: its syntax, and that it uses no parameter that is not given.
func TestScriptsAreSound(t *testing.T) {
	cfg := lab(t, "lab-0=server", "lab-1=server", "lab-2=server", "lab-3=agent")
	cfg.Cluster.Nodes[3].GPU = "nvidia"
	steps := stepsOf(t, cfg)
	require.Len(t, steps, 21)
	later := map[string]string{"JOIN_TOKEN": "K10", "CA_CERTIFICATE": "PEM"}
	parameter := regexp.MustCompile(`\$\{?([A-Z][A-Z0-9_]+)\b`)
	foreign := map[string]bool{"PATH": true, "RUN": true, "ID": true, "VERSION_ID": true, "VERSION_CODENAME": true, "PRETTY_NAME": true, "ARCH": true}
	seen := 0
	for name, s := range steps {
		text := "\n" + s.text(later)
		for _, found := range parameter.FindAllStringSubmatch(text, -1) {
			if foreign[found[1]] {
				continue
			}
			seen++
			assert.True(t, strings.Contains(text, "\n"+found[1]+"="), "%s uses %s", name, found[1])
		}
		for _, shell := range []string{"dash", "bash"} {
			if _, err := exec.LookPath(shell); err != nil {
				continue
			}
			check := exec.Command(shell, "-n")
			check.Stdin = strings.NewReader(text)
			output, err := check.CombinedOutput()
			assert.NoError(t, err, "%s: %s: %s", name, shell, output)
		}
	}
	require.Greater(t, seen, 100)
}

func TestScriptsPassShellcheck(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("shellcheck is missing")
	}
	steps := stepsOf(t, lab(t, "lab-0=server", "lab-1=agent"))
	require.NotEmpty(t, steps)
	seen := map[string]bool{}
	for name, s := range steps {
		if seen[s.verb] {
			continue
		}
		seen[s.verb] = true
		// Steps share functions that not each of them calls.
		check := exec.Command("shellcheck", "--shell=sh", "--exclude=SC2034,SC2317", "-")
		check.Stdin = strings.NewReader("#!/bin/sh\n" + s.text(map[string]string{"JOIN_TOKEN": "K10", "CA_CERTIFICATE": "PEM"}) + "\n")
		output, err := check.CombinedOutput()
		assert.NoError(t, err, "%s:\n%s", name, output)
	}
}

func TestCommandTexts(t *testing.T) {
	cfg := lab(t, "lab-0=server")
	hosts := hostsOf(t, cfg)
	s := installStep(cfg, hosts, hosts[0])
	create := s.create("root")
	assert.True(t, strings.HasPrefix(create, "flock -o -E 75 -w 1800 /run/lock/homelab-ai.lock timeout -k 30 3600 sh -c '"), create)
	assert.True(t, strings.HasSuffix(create, "' homelab-ai install "+s.declared()), create)
	assert.Less(t, len(create), 320)
	assert.Equal(t, "sudo -n "+create, s.create("lab"))
	assert.True(t, strings.HasSuffix(s.update("root", "0"), " homelab-ai install revision:0"))
	assert.True(t, strings.HasSuffix(s.delete("root"), " homelab-ai uninstall"))
	assert.Contains(t, preflightStep(cfg, hosts, hosts[0]).create("lab"), "NOPASSWD")
	assert.NotContains(t, probeStep(hosts[0]).create("root"), "flock", "a probe waits for nobody")
}

// TestDeclarationChanges states which steps a change reaches, and that it reaches no other.
func TestDeclarationChanges(t *testing.T) {
	cfg := lab(t, "lab-0=server", "lab-1=agent")
	declared := func() map[string]string {
		result := map[string]string{}
		for name, s := range stepsOf(t, cfg) {
			result[name] = s.declared()
		}
		return result
	}
	changed := func(change func()) []string {
		before := declared()
		change()
		after := declared()
		var names []string
		for name := range before {
			if before[name] != after[name] {
				names = append(names, name)
			}
		}
		return names
	}
	assert.Empty(t, changed(func() {}))
	assert.ElementsMatch(t, []string{"preflight-lab-0", "preflight-lab-1", "install-lab-0", "install-lab-1", "drain-lab-1", "ready-lab-1"},
		changed(func() { cfg.Versions.K3s.Version = "v1.36.5+k3s1" }))
	assert.ElementsMatch(t, []string{"preflight-lab-0", "install-lab-0"}, changed(func() { cfg.Security.AuditRetention = 3 }))
	assert.ElementsMatch(t, []string{"preflight-lab-0", "prepare-lab-0", "preflight-lab-1", "prepare-lab-1"},
		changed(func() { cfg.Network.IngressAddress = "192.168.1.201" }))
	assert.ElementsMatch(t, []string{"kubeconfig"}, changed(func() { cfg.Cluster.KubeconfigGeneration = 2 }))
	assert.Empty(t, changed(func() { cfg.ChartMirror = "https://charts.home.arpa" }))
}

func TestSettings(t *testing.T) {
	cfg := lab(t, "lab-0=server", "lab-1=server", "lab-2=server", "lab-3=agent")
	cfg.Cluster.Endpoint = "api.lab.home.arpa"
	cfg.Cluster.DataDir = "/mnt/k3s"
	cfg.Storage.Path = "/mnt/volumes"
	gpu := &cfg.Cluster.Nodes[3]
	gpu.GPU, gpu.Labels, gpu.Taints = "nvidia", map[string]string{"disk": "fast"}, []string{"gpu=yes:NoSchedule"}
	parse := func(i int) map[string]any {
		var values map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(settings(cfg, &cfg.Cluster.Nodes[i], i == 0)), &values))
		return values
	}
	first, second, agent := parse(0), parse(1), parse(3)

	assert.Equal(t, true, first["cluster-init"])
	assert.NotContains(t, first, "server")
	assert.NotContains(t, second, "cluster-init")
	for _, joined := range []map[string]any{second, agent} {
		assert.Equal(t, "https://api.lab.home.arpa:6443", joined["server"])
		assert.Equal(t, "/etc/homelab-ai/join-token", joined["token-file"])
	}
	assert.Equal(t, []any{"traefik", "servicelb"}, first["disable"])
	assert.Equal(t, "10.0.0.0/16", first["cluster-cidr"])
	assert.Equal(t, "10.1.0.0/16", first["service-cidr"])
	assert.Equal(t, "10.1.0.10", first["cluster-dns"])
	assert.Equal(t, true, first["secrets-encryption"])
	assert.Equal(t, "/mnt/volumes", first["default-local-storage-path"])
	assert.Subset(t, first["tls-san"], []any{"api.lab.home.arpa", "lab-0", "lab-1", "lab-2", "192.168.1.20", "192.168.1.22"})
	assert.NotContains(t, first["tls-san"], "lab-3")
	assert.Contains(t, first["kube-apiserver-arg"], "audit-log-path=/mnt/k3s/server/logs/audit.log")
	assert.Contains(t, first["kube-apiserver-arg"], "admission-control-config-file=/etc/rancher/k3s/psa.yaml")
	// What must be alike on all servers is.
	for key := range serverSettings(cfg) {
		assert.Equal(t, first[key], second[key], key)
		assert.NotContains(t, agent, key)
	}
	for i := range 4 {
		assert.Equal(t, true, parse(i)["protect-kernel-defaults"])
		assert.Equal(t, cfg.Cluster.Nodes[i].Address, parse(i)["node-ip"])
	}
	assert.Equal(t, []any{"disk=fast", "nvidia.com/gpu.present=true"}, agent["node-label"])
	assert.Equal(t, []any{"gpu=yes:NoSchedule"}, agent["node-taint"])

	assert.Contains(t, registries(cfg), "registry.lab.home.arpa")
	off := false
	cfg.Services.GitLab.Enabled = &off
	assert.NotContains(t, registries(cfg), "registry")
	assert.NotContains(t, hostEntries(cfg), "registry")
	assert.Equal(t, "tcp/10250 tcp/6443 tcp/2379 tcp/2380 udp/51820", ports(cfg, &cfg.Cluster.Nodes[0]))
	assert.Equal(t, "tcp/10250 udp/51820", ports(cfg, &cfg.Cluster.Nodes[3]))
	cfg.Cluster.FlannelBackend = "vxlan"
	assert.Contains(t, ports(cfg, &cfg.Cluster.Nodes[3]), "udp/8472")
	assert.Contains(t, modules(cfg), "vxlan")
}

func TestAdmissionAndAuditAreWellFormed(t *testing.T) {
	for name, kind := range map[string]string{"admission.yaml": "AdmissionConfiguration", "audit.yaml": "Policy"} {
		var object map[string]any
		require.NoError(t, yaml.UnmarshalStrict([]byte(file(name)), &object))
		assert.Equal(t, kind, object["kind"])
	}
	assert.Contains(t, file("k3s.service"), "Type=notify")
	assert.Contains(t, file("k3s-agent.service"), "ExecStart=/usr/local/bin/k3s agent")
}
