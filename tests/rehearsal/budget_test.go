package rehearsal

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/config"
)

func twoNodes() *config.Config {
	gpu := 1
	cfg := &config.Config{}
	cfg.Cluster.NVIDIA = config.NVIDIA{Sharing: "time-slicing", Replicas: 4}
	for _, name := range []string{"one", "two"} {
		cfg.Cluster.Nodes = append(cfg.Cluster.Nodes, config.Node{
			Name: name, Capacity: config.Capacity{CPU: "4", Memory: "16Gi", Storage: "100Gi"},
		})
	}
	cfg.Cluster.Nodes[0].GPU = "nvidia"
	cfg.Cluster.Nodes[0].Capacity.GPU = &gpu
	return cfg
}

func requests(cpu, memory string) map[string]any {
	return map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}}
}

func releaseOf(chart, namespace string, values map[string]any) Declared {
	return Declared{Type: releaseType, Inputs: map[string]any{"chart": chart, "namespace": namespace, "values": values}}
}

func TestBudgetCountsContainersReplicasAndNodes(t *testing.T) {
	budget, err := NewBudget(twoNodes(), []Declared{
		releaseOf("metallb", "metallb", map[string]any{
			"controller": map[string]any{"resources": requests("25m", "64Mi")},
			"speaker":    map[string]any{"resources": requests("25m", "64Mi"), "frr": map[string]any{"enabled": false, "resources": requests("9", "9Gi")}},
		}),
		releaseOf("oci://quay.io/jetstack/charts/cert-manager", "cert-manager", map[string]any{
			"replicaCount": 2.0, "resources": requests("20m", "64Mi"),
			"webhook":         map[string]any{"resources": requests("10m", "32Mi")},
			"startupapicheck": map[string]any{"resources": requests("5", "5Gi")},
		}),
		{Type: "kubernetes:argoproj.io/v1alpha1:Application", Inputs: map[string]any{
			"kind": "Application",
			"spec": map[string]any{
				"destination": map[string]any{"namespace": "ollama"},
				"source": map[string]any{"chart": "ollama", "helm": map[string]any{
					"values": "resources: {requests: {cpu: 1, memory: 4Gi}}\nollama: {gpu: {enabled: true, number: 1}}\n" +
						"persistentVolume: {enabled: true, existingClaim: models, size: 9Gi}\n",
				}},
			},
		}},
		releaseOf("app-template", "gitlab", map[string]any{"controllers": map[string]any{"main": map[string]any{
			"replicas":   3.0,
			"containers": map[string]any{"main": map[string]any{"resources": requests("100m", "1Gi")}},
		}}}),
		{Type: "kubernetes:core/v1:PersistentVolumeClaim", Inputs: map[string]any{
			"metadata": map[string]any{"namespace": "ollama"},
			"spec":     map[string]any{"resources": map[string]any{"requests": map[string]any{"storage": "50Gi"}}},
		}},
	})
	require.NoError(t, err)

	want := map[string][4]string{ // CPU, memory, GPU, storage
		"metallb":      {"75m", "192Mi", "0", "0"},
		"cert-manager": {"50m", "160Mi", "0", "0"},
		"ollama":       {"1", "4Gi", "1", "50Gi"},
		"gitlab":       {"300m", "3Gi", "0", "0"},
		"kube-system":  {"225m", "204Mi", "0", "0"}, // K3s's own
	}
	require.Len(t, budget.Namespaces, len(want))
	for namespace, amounts := range want {
		got := budget.Namespaces[namespace]
		require.Equal(t, amounts, [4]string{got.CPU.String(), got.Memory.String(), got.GPU.String(), got.Storage.String()}, namespace)
	}
	require.Equal(t, "8", budget.Capacity.CPU.String())
	require.Equal(t, "4", budget.Capacity.GPU.String(), "one card shared by four")

	var table strings.Builder
	budget.Print(&table)
	require.NotContains(t, table.String(), "not offer enough")
}

func TestBudgetSaysWhatIsNotEnough(t *testing.T) {
	budget, err := NewBudget(twoNodes(), []Declared{
		releaseOf("anything", "big", map[string]any{"resources": requests("9", "1Gi")}),
	})
	require.NoError(t, err)
	var table strings.Builder
	budget.Print(&table)
	require.Contains(t, table.String(), "The nodes do not offer enough CPU")
	require.NotContains(t, table.String(), "enough memory")
}

func TestBudgetNamesAnUnreadableRequest(t *testing.T) {
	_, err := NewBudget(twoNodes(), []Declared{
		releaseOf("anything", "n", map[string]any{"web": map[string]any{"resources": requests("lots", "1Gi")}}),
	})
	require.ErrorContains(t, err, "anything.web")
	require.ErrorContains(t, err, "lots")
}
