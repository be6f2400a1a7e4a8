package gitlab

import (
	_ "embed"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/homelab-ai/homelab-ai/config"
)

// Ports of the GitLab pod.
const (
	httpPort     = 80
	sshPort      = 22
	registryPort = 5050
	// pumaMetricsPort and sidekiqMetricsPort serve Prometheus (puma['exporter_port'], sidekiq['listen_port']).
	pumaMetricsPort    = 8083
	sidekiqMetricsPort = 8082
)

const (
	// mountPath is where the pod finds Secret.
	mountPath = "/run/secrets/homelab-ai"
	// omnibusKey and rootPasswordKey are the keys of Secret.
	omnibusKey      = "omnibus.rb"
	rootPasswordKey = "root-password"
)

//go:embed omnibus.rb.tmpl
var omnibusTemplate string

// profile is how large GitLab's processes are.
type profile struct {
	// PumaWorkers serve web requests; 0 is one process that does everything itself.
	PumaWorkers int
	// SidekiqThreads work on background jobs.
	SidekiqThreads int
	// SharedBuffers of PostgreSQL.
	SharedBuffers string
}

// profileFor chooses by memory: below 8 GiB what GitLab documents for constrained environments
// (https://docs.gitlab.com/omnibus/settings/memory_constrained_envs/), from there on its own defaults.
func profileFor(memory string) profile {
	comfortable := resource.MustParse("8Gi")
	quantity, err := resource.ParseQuantity(memory)
	if err != nil || quantity.Cmp(comfortable) < 0 {
		return profile{PumaWorkers: 0, SidekiqThreads: 10, SharedBuffers: "256MB"}
	}
	return profile{PumaWorkers: 2, SidekiqThreads: 20, SharedBuffers: "512MB"}
}

// omnibusConfig renders GitLab's own configuration. It holds no secret: those are read from files.
func omnibusConfig(cfg *config.Config) (string, error) {
	settings := cfg.Services.GitLab
	parsed, err := template.New("omnibus.rb").Option("missingkey=error").Parse(omnibusTemplate)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = parsed.Execute(&text, map[string]any{
		"Host":         settings.Host,
		"RegistryHost": settings.RegistryHost,
		"SSHHost":      sshHost(cfg),
		"PodCIDR":      cfg.Cluster.PodCIDR,
		"Profile":      profileFor(settings.Resources.Memory),
		"PasswordFile": mountPath + "/" + rootPasswordKey,
		"HTTPPort":     httpPort,
		"RegistryPort": registryPort,
		"SSHPort":      sshPort,
		"PumaMetrics":  pumaMetricsPort,
		"SidekiqPort":  sidekiqMetricsPort,
	})
	return text.String(), err
}

// sshHost is what clone addresses show. GitLab's name resolves to the ingress; where SSH has an address of its own,
// only that reaches it.
func sshHost(cfg *config.Config) string {
	if cfg.Network.GitLabSSHAddress != cfg.Network.IngressAddress {
		return cfg.Network.GitLabSSHAddress
	}
	return cfg.Services.GitLab.Host
}
