package gitops

import (
	"encoding/base64"
	"encoding/json"
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

// deploy declares Argo CD on stand-ins for what it needs.
func deploy(t *testing.T, cfg *config.Config) *recording.Graph {
	t.Helper()
	return recording.Run(t, func(ctx *pulumi.Context) error {
		on, err := recording.Provider(ctx)
		if err != nil {
			return err
		}
		delivery, around := chart.From(cfg), tenant.Around(cfg)
		if delivery.ChecksumKey, err = chart.NewChecksumKey(ctx, "checksum-key"); err != nil {
			return err
		}
		before, err := network.NewNames(ctx, "before", cfg, on)
		if err != nil {
			return err
		}
		_, err = New(ctx, "gitops", &Args{
			Config: cfg, Delivery: delivery, Surroundings: around,
			Ingress: &network.IngressController{Deployed: before}, Trust: before, Kinds: before,
			CACertificate: pulumi.String("PEM"), Namespaces: []string{"open-webui", "ollama"},
		}, on)
		return err
	})
}

func TestAdminPasswordIsGeneratedOnce(t *testing.T) {
	t.Parallel()
	graph := deploy(t, recording.Stack(t, "homelab"))
	secret := graph.Inputs(t, "gitops-secret")
	assert.Equal(t, "argocd-secret", recording.At(t, secret, "metadata", "name"))
	assert.Equal(t, "argocd", recording.At(t, secret, "metadata", "labels", "app.kubernetes.io/part-of"))
	assert.True(t, graph.Properties(t, "gitops-secret")["data"].IsSecret())
	// The hash comes from the resource that keeps the password, and the time does not move: neither drifts.
	hash, err := base64.StdEncoding.DecodeString(recording.At(t, secret, "data", "admin.password").(string))
	require.NoError(t, err)
	assert.Contains(t, graph.Generated(), string(hash))
	again := deploy(t, recording.Stack(t, "homelab")).Inputs(t, "gitops-secret")
	assert.Equal(t, recording.At(t, secret, "data", "admin.passwordMtime"),
		recording.At(t, again, "data", "admin.passwordMtime"))
}

func TestValuesHoldNoSecretAndNothingThatIsDrawn(t *testing.T) {
	t.Parallel()
	graph := deploy(t, recording.Stack(t, "homelab"))
	values := recording.At(t, graph.Inputs(t, "gitops-argo-cd-release"), "values")
	text, err := json.Marshal(values)
	require.NoError(t, err)
	require.NotEmpty(t, graph.Generated())
	for _, secret := range graph.Generated() {
		assert.NotContains(t, string(text), secret)
	}
	assert.Equal(t, false, recording.At(t, values, "configs", "secret", "createSecret"))
	assert.Equal(t, false, recording.At(t, values, "redisSecretInit", "enabled"))
	assert.Contains(t, graph.Inputs(t, "gitops-tenant-argocd-redis-secret")["data"], "auth")
	annotations := recording.At(t, values, "global", "podAnnotations").(map[string]any)
	assert.Len(t, annotations, 1, "pods roll when a secret changes")
}

func TestStatusNamesTheObjectThatIsUnhealthy(t *testing.T) {
	t.Parallel()
	assert.Equal(t, true, recording.At(t, deploy(t, recording.Stack(t, "homelab")).Inputs(t, "gitops-argo-cd-release"),
		"values", "configs", "params", "controller.resource.health.persist"))
}

func TestArgoCDStandsOnWhatItNeeds(t *testing.T) {
	t.Parallel()
	graph := deploy(t, recording.Stack(t, "homelab"))
	for _, need := range []string{
		"before", "gitops-secret", "gitops-tenant-argocd-redis-secret", "gitops-tenant-default-deny",
	} {
		assert.True(t, graph.DependsOn(t, "gitops-argo-cd-release", need), need)
	}
	assert.True(t, graph.DependsOn(t, "gitops-project-lab", "gitops-argo-cd-release"))
	assert.True(t, graph.DependsOn(t, "gitops-project-user", "gitops-argo-cd-release"))
	assert.True(t, graph.DependsOn(t, "gitops-ingress", "gitops-argo-cd-release"))
}

func TestLabProjectAllowsOurOwnAlone(t *testing.T) {
	t.Parallel()
	spec := recording.At(t, deploy(t, recording.Stack(t, "homelab")).Inputs(t, "gitops-project-lab"), "spec")
	assert.Equal(t, []any{
		map[string]any{"server": inCluster, "namespace": "ollama"},
		map[string]any{"server": inCluster, "namespace": "open-webui"},
	}, recording.At(t, spec, "destinations"))
	sources := recording.At(t, spec, "sourceRepos").([]any)
	assert.Contains(t, sources, "https://otwld.github.io/ollama-helm")
	assert.NotContains(t, sources, "*")
	for _, kind := range recording.At(t, spec, "clusterResourceWhitelist").([]any) {
		assert.NotContains(t, []string{"*", "Namespace", "CustomResourceDefinition"}, kind.(map[string]any)["kind"])
	}
}

func TestMirrorIsTheOnlySource(t *testing.T) {
	t.Parallel()
	cfg := recording.Stack(t, "homelab")
	cfg.ChartMirror = "oci://192.168.1.5:5000/charts"
	graph := deploy(t, cfg)
	assert.Equal(t, []any{"192.168.1.5:5000/charts"},
		recording.At(t, graph.Inputs(t, "gitops-project-lab"), "spec", "sourceRepos"))
	repositories := recording.At(t, graph.Inputs(t, "gitops-argo-cd-release"), "values", "configs", "repositories")
	assert.Equal(t, map[string]any{"192-168-1-5-5000-charts": map[string]any{
		"name": "192.168.1.5:5000/charts", "url": "192.168.1.5:5000/charts", "type": "helm", "enableOCI": "true",
	}}, repositories)
	rule := recording.At(t, graph.Inputs(t, "gitops-tenant-external-to"), "spec", "egress").([]any)[0].(map[string]any)
	assert.Equal(t, []any{map[string]any{"ipBlock": map[string]any{"cidr": "192.168.1.5/32"}}}, rule["to"])
	assert.Equal(t, []any{map[string]any{"protocol": "TCP", "port": float64(5000)}}, rule["ports"])
}

func TestMirrorRange(t *testing.T) {
	t.Parallel()
	cfg := recording.Stack(t, "homelab")
	for mirror, want := range map[string]struct {
		ranges []string
		port   int
	}{
		"":                            {},
		"http://127.0.0.1/charts":     {[]string{"127.0.0.1/32"}, 80},
		"https://mirror.lan/charts":   {[]string{cfg.Network.LANCIDR}, 443},
		"oci://mirror.lan:5000/stack": {[]string{cfg.Network.LANCIDR}, 5000},
	} {
		cfg.ChartMirror = mirror
		ranges, port, ok := mirrorRange(cfg)
		assert.Equal(t, mirror != "", ok, mirror)
		assert.Equal(t, want.ranges, ranges, mirror)
		assert.Equal(t, want.port, port, mirror)
	}
}

func TestUserProjectStaysInItsNamespace(t *testing.T) {
	t.Parallel()
	cfg := recording.Stack(t, "homelab")
	cfg.GitOps.Repositories = []string{"https://git.example.org/b", "https://git.example.org/a"}
	graph := deploy(t, cfg)
	spec := recording.At(t, graph.Inputs(t, "gitops-project-user"), "spec")
	assert.Equal(t, []any{
		"https://git.example.org/a", "https://git.example.org/b", "https://" + cfg.Services.GitLab.Host + "/**",
	}, recording.At(t, spec, "sourceRepos"), "the stack's repositories, and all of the lab's own GitLab")
	assert.Equal(t, []any{map[string]any{"server": inCluster, "namespace": UserNamespace}},
		recording.At(t, spec, "destinations"))
	assert.Empty(t, recording.At(t, spec, "clusterResourceWhitelist"))
	refused := recording.At(t, spec, "namespaceResourceBlacklist").([]any)
	assert.Contains(t, refused, any(map[string]any{"group": "networking.k8s.io", "kind": "NetworkPolicy"}))
	assert.Equal(t, UserNamespace,
		recording.At(t, graph.Inputs(t, "gitops-user-tenant-namespace"), "metadata", "name"))
}
