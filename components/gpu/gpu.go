// Package gpu lets pods ask for the lab's NVIDIA cards. The driver and the container runtime are on the hosts already
// (package k3s), and K3s ships the RuntimeClass nvidia; what is left is the device plugin, which tells Kubernetes how
// many cards a node has and into how many each is shared.
package gpu

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	// Namespace of the device plugin.
	Namespace = "nvidia-device-plugin"
	// Resource is what a pod requests, with the runtime class RuntimeClass.
	Resource = "nvidia.com/gpu"
	// RuntimeClass is the one that K3s ships for the NVIDIA container runtime.
	RuntimeClass = "nvidia"
	// mpsCapable is the node label that the chart starts its MPS daemon by.
	mpsCapable = "nvidia.com/mps.capable"
)

// Args of the GPU support.
type Args struct {
	// Config of the stack. REQUIRED.
	Config *config.Config
	// Delivery declares charts. REQUIRED.
	Delivery *chart.Delivery
	// Surroundings render the flows. REQUIRED.
	Surroundings *tenant.Surroundings
	// Needs are further resources that a workload chart cannot do without, such as Argo CD's project. Default: none.
	Needs []pulumi.Resource
}

// GPU is the lab's support for NVIDIA cards.
type GPU struct {
	pulumi.ResourceState

	// Deployed is what a pod that requests a card needs in order to be scheduled. Nil where no node has a card.
	Deployed pulumi.Resource
}

// New declares the device plugin where a node says gpu: nvidia, and nothing elsewhere.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*GPU, error) {
	gpu := &GPU{}
	if err := ctx.RegisterComponentResource("homelab-ai:gpu:GPU", name, gpu, opts...); err != nil {
		return nil, err
	}
	if !args.Config.HasGPU("nvidia") {
		return gpu, ctx.RegisterResourceOutputs(gpu, pulumi.Map{})
	}
	child := pulumi.Parent(gpu)
	space, err := tenant.New(ctx, name+"-tenant", &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    Namespace,
		Level:        tenant.Privileged, // the plugin mounts the kubelet's socket and the MPS daemon is privileged
		Quota:        tenant.Quota{CPU: "2", Memory: "2Gi", Pods: 4 * len(args.Config.Cluster.Nodes)},
		Flows:        []tenant.Flow{tenant.ToAPIServer()},
	}, child)
	if err != nil {
		return nil, err
	}
	needs := args.Needs
	if args.Config.Cluster.NVIDIA.Sharing == "mps" {
		labels, err := labelMPS(ctx, name, args.Config, child)
		if err != nil {
			return nil, err
		}
		needs = append(labels, needs...)
	}
	values, err := values(&args.Config.Cluster.NVIDIA)
	if err != nil {
		return nil, err
	}
	plugin, err := chart.New(ctx, name+"-chart", &chart.Args{
		Delivery: args.Delivery, Chart: "nvidia-device-plugin", Namespace: space.Name, NamespaceName: Namespace,
		Values: values, Workload: true,
	}, child, pulumi.DependsOn(needs))
	if err != nil {
		return nil, err
	}
	gpu.Deployed = plugin.Deployed
	return gpu, ctx.RegisterResourceOutputs(gpu, pulumi.Map{})
}

// labelMPS labels the nodes whose cards MPS shares. NVIDIA's feature discovery would do it as well, for one more
// privileged DaemonSet and a dozen labels that nothing here reads.
func labelMPS(ctx *pulumi.Context, name string, cfg *config.Config, child pulumi.ResourceOption) ([]pulumi.Resource, error) {
	var labels []pulumi.Resource
	for _, node := range cfg.Cluster.Nodes {
		if node.GPU != "nvidia" {
			continue
		}
		label, err := corev1.NewNodePatch(ctx, fmt.Sprintf("%s-mps-%s", name, node.Name), &corev1.NodePatchArgs{
			Metadata: &metav1.ObjectMetaPatchArgs{
				Name:   pulumi.String(node.Name),
				Labels: pulumi.StringMap{mpsCapable: pulumi.String("true")},
			},
		}, child)
		if err != nil {
			return nil, err
		}
		labels = append(labels, label)
	}
	return labels, nil
}

// values are those of the chart nvidia-device-plugin. Its pods find their nodes by the label nvidia.com/gpu.present,
// which K3s gives to a node that says gpu: nvidia.
func values(settings *config.NVIDIA) (chart.Values, error) {
	plugin, err := yaml.Marshal(pluginConfig(settings))
	if err != nil {
		return nil, err
	}
	return chart.Values{
		"fullnameOverride": Namespace,
		"runtimeClassName": RuntimeClass,
		"config":           chart.Values{"map": chart.Values{"default": string(plugin)}, "default": "default"},
		"gfd":              chart.Values{"enabled": false},
		"resources":        chart.Resources("10m", "64Mi", "256Mi"),
	}, nil
}

// pluginConfig is the device plugin's configuration file (version v1).
func pluginConfig(settings *config.NVIDIA) map[string]any {
	plugin := map[string]any{"version": "v1"}
	key := map[string]string{"time-slicing": "timeSlicing", "mps": "mps"}[settings.Sharing]
	if key != "" {
		plugin["sharing"] = map[string]any{key: map[string]any{
			"resources": []any{map[string]any{"name": Resource, "replicas": settings.Replicas}},
		}}
	}
	return plugin
}
