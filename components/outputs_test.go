package components_test

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/components"
	"github.com/homelab-ai/homelab-ai/config"
	"github.com/homelab-ai/homelab-ai/tests/rehearsal"
)

// outputs deploys a stack and returns what it exports, resolved, and which of it is secret.
func outputs(t *testing.T, cfg *config.Config) (values map[string]any, secret map[string]bool) {
	t.Helper()
	mocks, err := rehearsal.NewMocks()
	require.NoError(t, err)
	values, secret = map[string]any{}, map[string]bool{}
	require.NoError(t, pulumi.RunErr(func(ctx *pulumi.Context) error {
		if err := components.Deploy(ctx, cfg); err != nil {
			return err
		}
		for name, value := range ctx.GetCurrentExportMap() {
			result, err := internals.UnsafeAwaitOutput(ctx.Context(), pulumi.ToOutput(value))
			if err != nil {
				return err
			}
			values[name], secret[name] = result.Value, result.Secret
		}
		return nil
	}, pulumi.WithMocks(config.Namespace, "outputs", mocks)))
	return values, secret
}

func homelab(t *testing.T) *config.Config {
	t.Helper()
	cfg, err := config.ParseStackFile(filepath.Join("..", "Pulumi.homelab.yaml"))
	require.NoError(t, err)
	return cfg
}

func TestOutputsSayHowToReachTheLab(t *testing.T) {
	t.Parallel()
	cfg := homelab(t)
	values, secret := outputs(t, cfg)
	for name, isSecret := range map[string]bool{
		"urls": false, "dnsRecords": false, "caCertificate": false, "kubeconfig": true, "firstPasswords": true,
	} {
		require.Contains(t, values, name)
		assert.Equal(t, isSecret, secret[name], name)
		assert.NotEmpty(t, values[name], name)
	}
	urls, passwords := values["urls"].(map[string]string), values["firstPasswords"].(map[string]any)
	assert.Equal(t, "https://"+cfg.Services.OpenWebUI.Host, urls["chat"])
	assert.Equal(t, "https://"+cfg.GitOps.Host, urls["argocd"])
	assert.Equal(t, slices.Sorted(maps.Keys(urls)), slices.Sorted(maps.Keys(passwords)), "each URL has a first sign-in")
}

func TestOutputsFollowWhatIsOn(t *testing.T) {
	t.Parallel()
	cfg, off := homelab(t), false
	cfg.GitOps.Enabled, cfg.Services.OpenWebUI.Enabled = &off, &off
	urls := mustOutputs(t, cfg)["urls"].(map[string]string)
	assert.NotContains(t, urls, "chat")
	assert.NotContains(t, urls, "argocd")
}

func mustOutputs(t *testing.T, cfg *config.Config) map[string]any {
	t.Helper()
	values, _ := outputs(t, cfg)
	return values
}

func TestRetainingClassIsMadeUnlessTheStackNamesAnother(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]int{"lab-retain": 1, "longhorn-retain": 0} {
		cfg := homelab(t)
		cfg.Storage.RetainClass = class
		mocks, err := rehearsal.NewMocks()
		require.NoError(t, err)
		require.NoError(t, pulumi.RunErr(func(ctx *pulumi.Context) error { return components.Deploy(ctx, cfg) },
			pulumi.WithMocks(config.Namespace, "storage", mocks)))
		made := 0
		for _, r := range mocks.Registrations() {
			if r.TypeToken == "kubernetes:storage.k8s.io/v1:StorageClass" {
				made++
				assert.Equal(t, "Retain", r.Inputs["reclaimPolicy"].StringValue())
			}
		}
		assert.Equal(t, want, made, class)
	}
}
