package graph

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/components"
	"github.com/homelab-ai/homelab-ai/config"
	"github.com/homelab-ai/homelab-ai/tests/rehearsal"
)

// stackName is the stack that the program runs as.
const stackName = "graph"

// variants are the committed stacks, and what else a user may say.
var variants = []struct {
	name, stack string
	change      func(settings map[string]any)
}{
	{name: "staging", stack: "staging"},
	{name: "homelab", stack: "homelab"},
	{name: "high availability", stack: "homelab", change: rehearsal.HighlyAvailable},
	{name: "gitops off", stack: "homelab", change: func(settings map[string]any) {
		rehearsal.Section(settings, "homelab-ai:gitops")["enabled"] = false
	}},
	{name: "services off", stack: "staging", change: func(settings map[string]any) {
		for _, service := range []string{"ollama", "openWebUI"} {
			rehearsal.Section(settings, "homelab-ai:services", service)["enabled"] = false
		}
	}},
	{name: "let's encrypt", stack: "staging", change: func(settings map[string]any) {
		settings["homelab-ai:domain"] = "lab.example.org"
		settings["homelab-ai:tls"] = map[string]any{"issuer": "letsencrypt", "letsencrypt": map[string]any{
			"email": "admin@example.org", "provider": "cloudflare",
			"apiToken": map[string]any{"secure": "v1:ciphertext"},
		}}
	}},
}

func load(t *testing.T, stack string, change func(map[string]any)) *config.Config {
	t.Helper()
	file := filepath.Join("..", "..", "Pulumi."+stack+".yaml")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	if change != nil {
		content, err = rehearsal.Variant(content, change)
		require.NoError(t, err)
	}
	file = filepath.Join(t.TempDir(), "Pulumi."+stack+".yaml")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	cfg, err := config.ParseStackFile(file)
	require.NoError(t, err)
	return cfg
}

func record(t *testing.T, cfg *config.Config) *graph {
	t.Helper()
	mocks, err := rehearsal.NewMocks()
	require.NoError(t, err)
	require.NoError(t, pulumi.RunErr(func(ctx *pulumi.Context) error { return components.Deploy(ctx, cfg) },
		pulumi.WithMocks(config.Namespace, stackName, mocks)))
	return newGraph(cfg, mocks)
}

func TestRulesHold(t *testing.T) {
	for _, variant := range variants {
		t.Run(variant.name, func(t *testing.T) {
			t.Parallel()
			g := record(t, load(t, variant.stack, variant.change))
			for _, rule := range rules() {
				if rule.applies != nil && !rule.applies(g) {
					continue
				}
				t.Run(rule.name, func(t *testing.T) {
					subjects, violations := rule.check(g)
					require.Positive(t, subjects, "the rule looked at nothing")
					require.Empty(t, violations)

					broken := g.clone()
					rule.mutate(broken)
					_, violations = rule.check(broken)
					require.NotEmpty(t, violations, "the rule does not notice its own mutation")
				})
			}
		})
	}
}

// TestEveryRuleApplies makes sure that no rule is left out everywhere.
func TestEveryRuleApplies(t *testing.T) {
	applied := map[string]bool{}
	for _, variant := range variants {
		g := record(t, load(t, variant.stack, variant.change))
		for _, rule := range rules() {
			if rule.applies == nil || rule.applies(g) {
				applied[rule.name] = true
			}
		}
	}
	for _, rule := range rules() {
		require.True(t, applied[rule.name], rule.name)
	}
}
