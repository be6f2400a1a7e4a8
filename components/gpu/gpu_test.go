package gpu

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/internal/recording"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// declare registers the component with releases instead of Applications.
func declare(t *testing.T, cfg *config.Config) (*recording.Graph, *GPU) {
	t.Helper()
	var gpu *GPU
	graph := recording.Run(t, func(ctx *pulumi.Context) error {
		on, err := recording.Provider(ctx)
		if err != nil {
			return err
		}
		delivery := chart.From(cfg)
		delivery.GitOps = nil
		gpu, err = New(ctx, "gpu", &Args{Config: cfg, Delivery: delivery, Surroundings: tenant.Around(cfg)}, on)
		return err
	})
	return graph, gpu
}

func TestAStackWithoutCardsHasNoneOfIt(t *testing.T) {
	t.Parallel()
	graph, gpu := declare(t, recording.Stack(t, "staging"))
	assert.Nil(t, gpu.Deployed)
	assert.Equal(t, []string{"cluster", "gpu"}, graph.Names(""))
}

func TestSharingReachesThePlugin(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"none":         "version: v1\n",
		"time-slicing": "sharing:\n  timeSlicing:\n    resources:\n    - name: nvidia.com/gpu\n      replicas: 4\nversion: v1\n",
		"mps":          "sharing:\n  mps:\n    resources:\n    - name: nvidia.com/gpu\n      replicas: 4\nversion: v1\n",
	}
	for sharing, want := range tests {
		t.Run(sharing, func(t *testing.T) {
			t.Parallel()
			cfg := recording.Stack(t, "homelab")
			cfg.Cluster.NVIDIA.Sharing = sharing
			graph, gpu := declare(t, cfg)
			require.NotNil(t, gpu.Deployed)
			values := recording.At(t, graph.Inputs(t, "gpu-chart-release"), "values").(map[string]any)
			assert.Equal(t, RuntimeClass, values["runtimeClassName"])
			text := recording.At(t, values, "config", "map", "default").(string)
			assert.Equal(t, want, text)
			require.NoError(t, yaml.Unmarshal([]byte(text), &map[string]any{}))
			if sharing == "mps" {
				labels := recording.At(t, graph.Inputs(t, "gpu-mps-lab-0"), "metadata", "labels")
				assert.Equal(t, map[string]any{mpsCapable: "true"}, labels)
			} else {
				assert.NotContains(t, graph.Names(""), "gpu-mps-lab-0")
			}
		})
	}
}
