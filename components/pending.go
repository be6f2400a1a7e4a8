package components

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/config"
)

// warnUndeployed names what the config can already describe and Deploy does not declare yet, so that nobody takes a
// setting for a service.
func warnUndeployed(ctx *pulumi.Context, cfg *config.Config) error {
	keys := undeployed(cfg)
	if len(keys) == 0 {
		return nil
	}
	return ctx.Log.Warn("not deployed by this version, although the config has them: "+strings.Join(keys, ", ")+
		". Their settings are checked and otherwise unused", nil)
}

// undeployed are the keys of what is switched on and not part of the graph.
func undeployed(cfg *config.Config) []string {
	var keys []string
	for _, service := range []struct {
		key string
		on  bool
	}{
		{"services.gitlab", cfg.Services.GitLab.On()},
		{"services.jupyter", cfg.Services.Jupyter.On()},
		{"services.monitoring", cfg.Services.Monitoring.On()},
		{"services.ollama.api", cfg.Services.Ollama.On() && cfg.Services.Ollama.API.Enabled},
		{"backup", *cfg.Backup.Enabled},
		{"security.scanning", *cfg.Security.Scanning},
		{"signIn.oidc", cfg.SignIn.OIDC != nil},
		{"access", len(cfg.Access.Admins)+len(cfg.Access.Developers)+len(cfg.Access.Viewers) > 0},
	} {
		if service.on {
			keys = append(keys, service.key)
		}
	}
	return keys
}
