package gitlab

import (
	"github.com/homelab-ai/homelab-ai/config"
)

const testOllamaURL = "http://ollama.ollama.svc:11434"

func pointer[T any](value T) *T { return &value }

// testConfig is a stack with everything that this package reads, as defaults leave it.
func testConfig() *config.Config {
	cfg := &config.Config{
		Stack: "test", Domain: "lab.test",
		Versions: config.DefaultCatalogue(),
		Protect:  pointer(false),
	}
	cfg.Cluster.Nodes = []config.Node{{Name: "lab-0", Role: "server", Host: "192.168.1.20", Address: "192.168.1.20"}}
	cfg.Cluster.PodCIDR, cfg.Cluster.ServiceCIDR = "10.0.0.0/16", "10.1.0.0/16"
	cfg.Network.LANCIDR, cfg.Network.AllowedSources = "192.168.1.0/24", []string{"192.168.1.0/24", "10.0.0.0/16"}
	cfg.Network.IngressAddress, cfg.Network.GitLabSSHAddress = "192.168.1.200", "192.168.1.200"
	cfg.TLS.Issuer = "internal"
	cfg.Storage.Class = "local-path"
	cfg.GitOps.Enabled, cfg.GitOps.Host = pointer(true), "argocd.lab.test"
	cfg.SignIn.Provider, cfg.SignIn.AdminGroup, cfg.SignIn.UserGroup = "gitlab", "lab-admins", "lab-users"
	cfg.Services.GitLab = config.GitLab{
		Enabled: pointer(true), Host: "gitlab.lab.test", RegistryHost: "registry.lab.test", Size: "60Gi",
		Resources: config.Resources{CPU: "1", Memory: "4Gi"},
		Runners: config.Runners{
			Enabled: pointer(true), Concurrent: 3, Privileged: pointer(true), JobCPU: "2", JobMemory: "4Gi",
		},
	}
	cfg.Services.Jupyter.Enabled, cfg.Services.Jupyter.Host = pointer(true), "jupyter.lab.test"
	cfg.Services.Monitoring.Enabled, cfg.Services.Monitoring.Host = pointer(true), "grafana.lab.test"
	cfg.Services.OpenWebUI.Enabled, cfg.Services.OpenWebUI.Host = pointer(true), "chat.lab.test"
	cfg.Services.Ollama.Enabled, cfg.Services.Ollama.Models = pointer(true), []config.Model{{Name: "llama3.2:3b"}}
	return cfg
}
