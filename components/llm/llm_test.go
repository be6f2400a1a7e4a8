package llm

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/internal/recording"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	namespaceToken = "kubernetes:core/v1:Namespace"
	claimToken     = "kubernetes:core/v1:PersistentVolumeClaim"
	secretToken    = "kubernetes:core/v1:Secret"
	ingressToken   = "kubernetes:networking.k8s.io/v1:Ingress"
	jobToken       = "kubernetes:batch/v1:Job"
	releaseToken   = "kubernetes:helm.sh/v3:Release"
)

// stack is a stack whose charts are releases, so that their values can be read.
func stack(t *testing.T) *config.Config {
	t.Helper()
	cfg := recording.Stack(t, "homelab")
	off := false
	cfg.GitOps.Enabled = &off
	cfg.Services.Ollama.Models = []config.Model{{Name: "llama3.2:1b"}, {Name: "qwen3:8b"}}
	return cfg
}

func serve(t *testing.T, cfg *config.Config) *recording.Graph {
	t.Helper()
	return recording.Run(t, func(ctx *pulumi.Context) error {
		on, err := recording.Provider(ctx)
		if err != nil {
			return err
		}
		delivery := chart.From(cfg)
		if delivery.ChecksumKey, err = chart.NewChecksumKey(ctx, "checksum-key"); err != nil {
			return err
		}
		before, err := network.NewNames(ctx, "before", cfg, on)
		if err != nil {
			return err
		}
		args := &Args{
			Config: cfg, Delivery: delivery, Surroundings: tenant.Around(cfg),
			Ingress: &network.IngressController{Deployed: before}, Needs: []pulumi.Resource{before},
		}
		ollama, err := NewOllama(ctx, "ollama", args, on)
		if err != nil {
			return err
		}
		_, err = NewOpenWebUI(ctx, "open-webui", args, ollama, on)
		return err
	})
}

func TestOffIsNotGone(t *testing.T) {
	t.Parallel()
	on, cfg := serve(t, stack(t)), stack(t)
	disabled := false
	cfg.Services.Ollama.Enabled, cfg.Services.OpenWebUI.Enabled = &disabled, &disabled
	off := serve(t, cfg)

	for _, token := range []string{namespaceToken, claimToken, secretToken} {
		require.NotEmpty(t, on.Names(token), token)
		assert.Equal(t, on.Names(token), off.Names(token), token)
	}
	for _, token := range []string{releaseToken, ingressToken, jobToken} {
		require.NotEmpty(t, on.Names(token), token)
		assert.Empty(t, off.Names(token), token)
	}

	cfg.Purge = []string{"ollama"}
	purged := serve(t, cfg)
	assert.Equal(t, []string{"open-webui-tenant-namespace"}, purged.Names(namespaceToken))
	assert.Equal(t, []string{"open-webui-tenant-data-claim"}, purged.Names(claimToken))
}

func TestWhatIsOnIsNeverPurged(t *testing.T) {
	t.Parallel()
	cfg := stack(t)
	cfg.Purge = []string{"ollama", "openWebUI"}
	assert.Len(t, serve(t, cfg).Names(claimToken), 2)
}

func TestDataIsProtectedWhereTheStackSaysSo(t *testing.T) {
	t.Parallel()
	for _, protect := range []bool{true, false} {
		cfg := stack(t)
		cfg.Protect = &protect
		graph := serve(t, cfg)
		for _, name := range []string{
			"ollama-tenant-models-claim", "open-webui-tenant-data-claim", "ollama-tenant-namespace",
			"open-webui-tenant-namespace", "open-webui-secret-key",
		} {
			assert.Equal(t, protect, graph.Protected(t, name), name)
		}
	}
}

func TestClaimsAreOurs(t *testing.T) {
	t.Parallel()
	graph := serve(t, stack(t))
	assert.Equal(t, ollamaClaim,
		recording.At(t, graph.Inputs(t, "ollama-chart-release"), "values", "persistentVolume", "existingClaim"))
	assert.Equal(t, openWebUIClaim,
		recording.At(t, graph.Inputs(t, "open-webui-chart-release"), "values", "persistence", "existingClaim"))
	assert.True(t, graph.DependsOn(t, "ollama-chart-release", "ollama-tenant-models-claim"))
	assert.True(t, graph.DependsOn(t, "open-webui-chart-release", "open-webui-tenant-data-claim"))
	assert.True(t, graph.DependsOn(t, "open-webui-chart-release", "ollama-chart-release"))
}

func TestSecretsStayOutOfValues(t *testing.T) {
	t.Parallel()
	graph := serve(t, stack(t))
	values := recording.At(t, graph.Inputs(t, "open-webui-chart-release"), "values")
	text, err := json.Marshal(values)
	require.NoError(t, err)
	require.NotEmpty(t, graph.Generated())
	for _, secret := range graph.Generated() {
		assert.NotContains(t, string(text), secret)
	}
	data := graph.Inputs(t, "open-webui-tenant-open-webui-secret")["data"].(map[string]any)
	named := 0
	for _, entry := range recording.At(t, values, "extraEnvVars").([]any) {
		variable := entry.(map[string]any)
		if from, ok := variable["valueFrom"]; ok {
			assert.Equal(t, OpenWebUISecret, recording.At(t, from, "secretKeyRef", "name"))
			assert.Contains(t, data, recording.At(t, from, "secretKeyRef", "key"))
			named++
		}
	}
	assert.Equal(t, 2, named)
	assert.Len(t, recording.At(t, values, "podAnnotations"), 1, "pods roll when a secret changes")
}

func TestSignUpIsClosed(t *testing.T) {
	t.Parallel()
	cfg := stack(t)
	settings := map[string]any{}
	for _, entry := range openWebUIValues(cfg)["extraEnvVars"].([]any) {
		variable := entry.(chart.Values)
		settings[variable["name"].(string)] = variable["value"]
	}
	assert.Equal(t, "False", settings["ENABLE_SIGNUP"])
	assert.Equal(t, "False", settings["ENABLE_PERSISTENT_CONFIG"])
	assert.Equal(t, "https://"+cfg.Services.OpenWebUI.Host, settings["WEBUI_URL"])
	assert.Equal(t, cfg.Services.OpenWebUI.AdminEmail, settings["WEBUI_ADMIN_EMAIL"])
}

func TestChatReachesOllamaAndNothingElse(t *testing.T) {
	t.Parallel()
	graph := serve(t, stack(t))
	egress := 0
	for _, name := range graph.Names("kubernetes:networking.k8s.io/v1:NetworkPolicy") {
		rules, ok := recording.At(t, graph.Inputs(t, name), "spec").(map[string]any)["egress"]
		if !ok || !strings.HasPrefix(name, "open-webui-") || name == "open-webui-tenant-dns" {
			continue
		}
		egress++
		assert.Equal(t, "open-webui-tenant-to-ollama", name)
		rule := rules.([]any)[0].(map[string]any)
		assert.Equal(t, []any{map[string]any{"protocol": "TCP", "port": float64(OllamaPort)}}, rule["ports"])
	}
	assert.Equal(t, 1, egress)
	allowed := recording.At(t, graph.Inputs(t, "ollama-tenant-from-open-webui"), "spec")
	assert.Equal(t, "ollama", recording.At(t, allowed, "podSelector", "matchLabels", "app.kubernetes.io/name"))
}

func TestIngressStreams(t *testing.T) {
	t.Parallel()
	cfg := stack(t)
	ingress := serve(t, cfg).Inputs(t, "open-webui-ingress")
	annotations := recording.At(t, ingress, "metadata", "annotations").(map[string]any)
	assert.Equal(t, OpenWebUINamespace, annotations["nginx.org/websocket-services"])
	assert.Equal(t, "false", annotations["nginx.org/proxy-buffering"])
	rule := recording.At(t, ingress, "spec", "rules").([]any)[0].(map[string]any)
	assert.Equal(t, cfg.Services.OpenWebUI.Host, rule["host"])
}

func TestGPUIsAskedForWhereThereIsOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, runtime, tag string
		number             int
	}{
		{"none", "", "0.1@sha256:aa", 0},
		{"nvidia", "nvidia", "0.1@sha256:aa", 2},
		{"amd", "", "0.1-rocm", 1},
	} {
		cfg := stack(t)
		cfg.Cluster.Nodes[0].GPU, cfg.Services.Ollama.GPU = c.kind, &c.number
		cfg.Versions.Images["ollama"] = config.Image{Repository: "ollama", Tag: "0.1", Digest: "sha256:aa"}
		values := ollamaValues(cfg)
		gpu := recording.At(t, values, "ollama", "gpu").(chart.Values)
		assert.Equal(t, c.number > 0, gpu["enabled"], c.kind)
		assert.Equal(t, c.tag, recording.At(t, values, "image", "tag"), c.kind)
		if c.runtime == "" {
			assert.NotContains(t, values, "runtimeClassName", c.kind)
		} else {
			assert.Equal(t, c.runtime, values["runtimeClassName"])
			assert.Equal(t, c.kind, gpu["type"])
			assert.Equal(t, c.number, gpu["number"])
		}
	}
}
