package tenant

import (
	"fmt"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// namespaceNameLabel is the label that Kubernetes itself gives every namespace.
	namespaceNameLabel = "kubernetes.io/metadata.name"
	systemNamespace    = "kube-system"
	dnsPort            = 53
)

// dns allows name resolution, without which nothing else works.
func dns() Flow {
	f := To(systemNamespace, map[string]string{"k8s-app": "kube-dns"}, UDP(dnsPort), TCP(dnsPort))
	f.name = "dns"
	return f
}

// defaultDeny denies every pod of the namespace both directions.
func defaultDeny() networkingv1.NetworkPolicySpecArgs {
	return networkingv1.NetworkPolicySpecArgs{
		PodSelector: metav1.LabelSelectorArgs{},
		PolicyTypes: pulumi.StringArray{pulumi.String("Ingress"), pulumi.String("Egress")},
	}
}

// policy is a flow rendered for one cluster. Names are unique within a tenant.
type policy struct {
	name string
	spec networkingv1.NetworkPolicySpecArgs
}

// policies renders default deny, DNS and the flows.
func policies(flows []Flow, around *Surroundings) []policy {
	rendered := []policy{{name: "default-deny", spec: defaultDeny()}}
	seen := map[string]int{}
	for _, flow := range append([]Flow{dns()}, flows...) {
		name := flow.name
		seen[name]++
		if seen[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, seen[flow.name])
		}
		rendered = append(rendered, policy{name: name, spec: flow.spec(around)})
	}
	return rendered
}

// spec renders a flow.
func (f Flow) spec(around *Surroundings) networkingv1.NetworkPolicySpecArgs {
	ingress, egress := f.ingress, f.egress
	if f.facts != nil {
		moreIngress, moreEgress := f.facts(around)
		ingress, egress = concat(ingress, moreIngress), concat(egress, moreEgress)
	}
	ports := f.ports
	if f.name == "to-api-server" {
		ports = []Port{TCP(around.APIServerPort)}
	}
	spec := networkingv1.NetworkPolicySpecArgs{PodSelector: f.selector()}
	var types pulumi.StringArray
	if len(ingress) > 0 {
		types = append(types, pulumi.String("Ingress"))
		spec.Ingress = networkingv1.NetworkPolicyIngressRuleArray{
			networkingv1.NetworkPolicyIngressRuleArgs{From: render(ingress), Ports: renderPorts(ports)},
		}
	}
	if len(egress) > 0 {
		types = append(types, pulumi.String("Egress"))
		spec.Egress = networkingv1.NetworkPolicyEgressRuleArray{
			networkingv1.NetworkPolicyEgressRuleArgs{To: render(egress), Ports: renderPorts(ports)},
		}
	}
	spec.PolicyTypes = types
	return spec
}

func (f Flow) selector() metav1.LabelSelectorArgs {
	selector := labels(f.pods)
	if f.podsWith != "" {
		selector.MatchExpressions = metav1.LabelSelectorRequirementArray{
			metav1.LabelSelectorRequirementArgs{Key: pulumi.String(f.podsWith), Operator: pulumi.String("Exists")},
		}
	}
	return selector
}

func render(peers []peer) networkingv1.NetworkPolicyPeerArray {
	rendered := make(networkingv1.NetworkPolicyPeerArray, 0, len(peers))
	for _, p := range peers {
		rendered = append(rendered, p.render())
	}
	return rendered
}

func (p peer) render() networkingv1.NetworkPolicyPeerArgs {
	if p.cidr != "" {
		return networkingv1.NetworkPolicyPeerArgs{IpBlock: networkingv1.IPBlockArgs{
			Cidr: pulumi.String(p.cidr), Except: stringArray(p.except),
		}}
	}
	var args networkingv1.NetworkPolicyPeerArgs
	switch {
	case p.anyNamespace:
		args.NamespaceSelector = metav1.LabelSelectorArgs{}
	case p.namespace != "":
		args.NamespaceSelector = labels(map[string]string{namespaceNameLabel: p.namespace})
	}
	// A peer within the tenant's own namespace is a pod selector alone.
	if len(p.pods) > 0 || args.NamespaceSelector == nil {
		args.PodSelector = labels(p.pods)
	}
	return args
}

func renderPorts(ports []Port) networkingv1.NetworkPolicyPortArray {
	if len(ports) == 0 {
		return nil
	}
	rendered := make(networkingv1.NetworkPolicyPortArray, 0, len(ports))
	for _, port := range ports {
		rendered = append(rendered, networkingv1.NetworkPolicyPortArgs{
			Protocol: pulumi.String(port.Protocol), Port: pulumi.Int(port.Number),
		})
	}
	return rendered
}

func labels(match map[string]string) metav1.LabelSelectorArgs {
	if len(match) == 0 {
		return metav1.LabelSelectorArgs{}
	}
	return metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(match)}
}

func stringArray(values []string) pulumi.StringArray {
	if len(values) == 0 {
		return nil
	}
	return pulumi.ToStringArray(values)
}

func concat(a, b []peer) []peer {
	joined := make([]peer, 0, len(a)+len(b))
	return append(append(joined, a...), b...)
}
