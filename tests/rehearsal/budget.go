package rehearsal

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"text/tabwriter"

	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/homelab-ai/homelab-ai/config"
)

// Amounts is what pods and claims request, or what nodes offer.
type Amounts struct {
	CPU, Memory, GPU, Storage resource.Quantity
}

func (a *Amounts) add(b Amounts, times int64) {
	for range times {
		a.CPU.Add(b.CPU)
		a.Memory.Add(b.Memory)
		a.GPU.Add(b.GPU)
		a.Storage.Add(b.Storage)
	}
}

// Budget is what the lab requests per namespace against what its nodes offer. It is taken from what the program
// declares: the resources of every container that the charts' values name, times its replicas, and the sizes of claims.
// Jobs and chart hooks come and go and are not in it; neither is what a chart brings without naming resources, which gets
// the namespace's default request.
type Budget struct {
	// Namespaces by name.
	Namespaces map[string]Amounts
	// Capacity is the sum over the nodes.
	Capacity Amounts
	// Nodes is their number.
	Nodes int
}

// Declared is one resource as the program declared it.
type Declared struct {
	// Type token and inputs of the resource.
	Type   string
	Inputs map[string]any
}

// NewBudget sums up what is declared.
func NewBudget(cfg *config.Config, declared []Declared) (*Budget, error) {
	b := &Budget{Namespaces: map[string]Amounts{}, Nodes: len(cfg.Cluster.Nodes)}
	for _, node := range cfg.Cluster.Nodes {
		var gpus int64
		if node.Capacity.GPU != nil {
			gpus = int64(*node.Capacity.GPU)
		}
		if node.GPU == "nvidia" && cfg.Cluster.NVIDIA.Sharing != "none" {
			gpus *= int64(cfg.Cluster.NVIDIA.Replicas) // pods request shares of a card
		}
		offered, err := amounts(map[string]any{
			"cpu": node.Capacity.CPU, "memory": node.Capacity.Memory, "storage": node.Capacity.Storage,
		})
		if err != nil {
			return nil, fmt.Errorf("capacity of node %s: %w", node.Name, err)
		}
		offered.GPU = *resource.NewQuantity(gpus, resource.DecimalSI)
		b.Capacity.add(offered, 1)
	}
	b.Namespaces["kube-system"] = ownOfK3s
	for _, each := range declared {
		if err := b.count(each); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// ownOfK3s is what the pods request that K3s brings (its manifests coredns, metrics-server and local-storage):
// CoreDNS and metrics-server 100m and 70Mi each, the local-path provisioner the namespace's default request.
var ownOfK3s = Amounts{CPU: resource.MustParse("225m"), Memory: resource.MustParse("204Mi")}

func (b *Budget) count(d Declared) error {
	add := func(namespace string, a Amounts, times int64) {
		sum := b.Namespaces[namespace]
		sum.add(a, times)
		b.Namespaces[namespace] = sum
	}
	switch d.Type {
	case "kubernetes:core/v1:PersistentVolumeClaim":
		a, err := amounts(at(d.Inputs, "spec", "resources", "requests"))
		add(str(at(d.Inputs, "metadata", "namespace")), a, 1)
		return err
	case "kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet", "kubernetes:apps/v1:DaemonSet":
		times := replicas(mapping(at(d.Inputs, "spec")), 1)
		if strings.HasSuffix(d.Type, "DaemonSet") {
			times = int64(b.Nodes)
		}
		containers, _ := at(d.Inputs, "spec", "template", "spec", "containers").([]any)
		for _, container := range containers {
			a, err := amounts(at(container, "resources", "requests"))
			if err != nil {
				return err
			}
			add(str(at(d.Inputs, "metadata", "namespace")), a, times)
		}
		return nil
	case releaseType:
		return b.chart(str(d.Inputs["chart"]), str(d.Inputs["namespace"]), mapping(d.Inputs["values"]), add)
	}
	if str(d.Inputs["kind"]) != "Application" {
		return nil
	}
	values := mapping(at(d.Inputs, "spec", "source", "helm", "valuesObject"))
	if text := str(at(d.Inputs, "spec", "source", "helm", "values")); text != "" {
		if err := yaml.Unmarshal([]byte(text), &values); err != nil {
			return fmt.Errorf("values of application %s: %w", str(at(d.Inputs, "metadata", "name")), err)
		}
	}
	return b.chart(str(at(d.Inputs, "spec", "source", "chart")),
		str(at(d.Inputs, "spec", "destination", "namespace")), values, add)
}

// passing are the containers of charts that do not stay: hooks and init containers smaller than the pod's own.
var passing = map[string]bool{
	"cert-manager.startupapicheck":                    true,
	"trust-manager.defaultPackage":                    true,
	"nginx-ingress.controller.initContainerResources": true,
	"argo-cd.redisSecretInit":                         true,
	"argo-cd.repoServer.copyutil":                     true,
	"open-webui.copyAppData":                          true,
}

// everywhere are the charts' containers that run on every node.
var everywhere = map[string]bool{
	"metallb.speaker":      true,
	"nvidia-device-plugin": true,
	"dcgm-exporter":        true,
	"alloy.alloy":          true,
	"kube-prometheus-stack.prometheus-node-exporter": true,
	"velero.nodeAgent": true,
}

// chart walks a chart's values: a map with resources.requests is a container, as often as replicas or replicaCount
// beside it say; a map with a claim's size that is no existing claim's is storage.
func (b *Budget) chart(name, namespace string, values map[string]any, add func(string, Amounts, int64)) error {
	name = name[strings.LastIndex(name, "/")+1:]
	var walk func(path string, values map[string]any, inherited int64) error
	walk = func(path string, values map[string]any, inherited int64) error {
		if off, ok := values["enabled"].(bool); ok && !off || passing[path] {
			return nil
		}
		times := replicas(values, inherited)
		if everywhere[path] {
			times = int64(b.Nodes)
		}
		if requests := at(values, "resources", "requests"); requests != nil {
			a, err := amounts(requests)
			if err != nil {
				return fmt.Errorf("values of %s: %w", path, err)
			}
			add(namespace, a, times)
		}
		if size := str(values["size"]); size != "" && str(values["existingClaim"]) == "" && values["enabled"] == true {
			a, err := amounts(map[string]any{"storage": size})
			if err != nil {
				return fmt.Errorf("values of %s: %w", path, err)
			}
			add(namespace, a, times)
		}
		if number, ok := whole(values["number"]); ok && path == "ollama.ollama.gpu" {
			add(namespace, Amounts{GPU: *resource.NewQuantity(number, resource.DecimalSI)}, 1)
		}
		for key, value := range values {
			child, ok := value.(map[string]any)
			if !ok || key == "resources" {
				continue
			}
			// Containers of one pod share its replicas; anything else below is a workload of its own.
			passed := int64(1)
			if key == "containers" || path[strings.LastIndex(path, ".")+1:] == "containers" {
				passed = times
			}
			if err := walk(path+"."+key, child, passed); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(name, values, 1)
}

// Total sums up all namespaces.
func (b *Budget) Total() Amounts {
	var total Amounts
	for _, each := range b.Namespaces {
		total.add(each, 1)
	}
	return total
}

// Print writes the table.
func (b *Budget) Print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(name string, a Amounts) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", name,
			decimal(a.CPU.AsApproximateFloat64()), gib(a.Memory), a.GPU.String(), gib(a.Storage))
	}
	fmt.Fprint(w, "requested by\tCPU\tmemory GiB\tGPU\tstorage GiB\t\n")
	for _, name := range sortedKeys(b.Namespaces) {
		row(name, b.Namespaces[name])
	}
	total := b.Total()
	row("all", total)
	row(fmt.Sprintf("offered by %d node(s)", b.Nodes), b.Capacity)
	w.Flush()
	for _, each := range []struct {
		name               string
		requested, offered resource.Quantity
	}{
		{"CPU", total.CPU, b.Capacity.CPU},
		{"memory", total.Memory, b.Capacity.Memory},
		{"GPUs", total.GPU, b.Capacity.GPU},
		{"storage", total.Storage, b.Capacity.Storage},
	} {
		if each.requested.Cmp(each.offered) > 0 {
			fmt.Fprintf(out, "The nodes do not offer enough %s: some pods would stay pending.\n", each.name)
		}
	}
}

func gib(q resource.Quantity) string { return decimal(q.AsApproximateFloat64() / (1 << 30)) }

func decimal(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}

// amounts reads requests as Kubernetes writes them. A request that is left out is none.
func amounts(requests any) (Amounts, error) {
	var a Amounts
	for key, value := range mapping(requests) {
		target := map[string]*resource.Quantity{
			"cpu": &a.CPU, "memory": &a.Memory, "storage": &a.Storage, "nvidia.com/gpu": &a.GPU, "amd.com/gpu": &a.GPU,
		}[key]
		written := strings.TrimSpace(fmt.Sprint(value))
		if target == nil || value == nil || written == "" {
			continue
		}
		quantity, err := resource.ParseQuantity(written)
		if err != nil {
			return a, fmt.Errorf("%s %q: %w", key, written, err)
		}
		*target = quantity
	}
	return a, nil
}

// replicas reads how many pods a workload has.
func replicas(values map[string]any, otherwise int64) int64 {
	for _, key := range []string{"replicas", "replicaCount"} {
		if n, ok := whole(values[key]); ok {
			return n
		}
	}
	return otherwise
}

func whole(value any) (int64, bool) {
	switch n := value.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case float64:
		return int64(n), true
	default:
		return 0, false
	}
}

// at returns the value at a path of keys, or nil.
func at(value any, keys ...string) any {
	for _, key := range keys {
		value = mapping(value)[key]
	}
	return value
}

func mapping(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

func str(value any) string {
	s, _ := value.(string)
	return s
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
