package tenant

import (
	"strconv"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Quota is what all pods and claims of a tenant together may request. A zero field has the default that it names.
type Quota struct {
	// CPU is the sum of requests, in cores. Default: 4.
	CPU string
	// Memory is the sum of requests (Kubernetes quantity). Default: 8Gi.
	Memory string
	// Pods is the number of pods. Default: 20.
	Pods int
	// Claims is the number of persistent volume claims. Default: 10.
	Claims int
	// Storage is the sum of what claims request (Kubernetes quantity). Default: 100Gi.
	Storage string
	// GPU is the number of (shared) GPUs. Default: 0, none.
	GPU int
}

func (q Quota) spec() corev1.ResourceQuotaSpecArgs {
	gpu := pulumi.String(strconv.Itoa(q.GPU))
	return corev1.ResourceQuotaSpecArgs{Hard: pulumi.StringMap{
		"requests.cpu":            or(q.CPU, "4"),
		"requests.memory":         or(q.Memory, "8Gi"),
		"requests.storage":        or(q.Storage, "100Gi"),
		"pods":                    orCount(q.Pods, 20),
		"persistentvolumeclaims":  orCount(q.Claims, 10),
		"requests.nvidia.com/gpu": gpu,
		"requests.amd.com/gpu":    gpu,
	}}
}

// LimitRange is what a container gets that names no requests or limits itself. A zero field has the default that it
// names. There is no default CPU limit: idle cores are there to be used.
type LimitRange struct {
	// CPU is the default request, in cores. Default: 25m.
	CPU string
	// Memory is the default request (Kubernetes quantity). Default: 64Mi.
	Memory string
	// MemoryLimit is the default limit (Kubernetes quantity). A container that requests more than this and names no
	// limit is refused. Default: 1Gi.
	MemoryLimit string
}

func (l LimitRange) spec() corev1.LimitRangeSpecArgs {
	return corev1.LimitRangeSpecArgs{Limits: corev1.LimitRangeItemArray{corev1.LimitRangeItemArgs{
		Type:           pulumi.String("Container"),
		DefaultRequest: pulumi.StringMap{"cpu": or(l.CPU, "25m"), "memory": or(l.Memory, "64Mi")},
		Default:        pulumi.StringMap{"memory": or(l.MemoryLimit, "1Gi")},
	}}}
}

// Sum adds Kubernetes quantities, for a quota that fits several pods. Those of the config are validated before; what is
// none counts as zero.
func Sum(quantities ...string) string {
	total := resource.Quantity{}
	for _, text := range quantities {
		if quantity, err := resource.ParseQuantity(text); err == nil {
			total.Add(quantity)
		}
	}
	return total.String()
}

func or(value, fallback string) pulumi.String {
	if value == "" {
		return pulumi.String(fallback)
	}
	return pulumi.String(value)
}

func orCount(value, fallback int) pulumi.String {
	if value == 0 {
		value = fallback
	}
	return pulumi.String(strconv.Itoa(value))
}
