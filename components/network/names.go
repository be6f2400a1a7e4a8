package network

import (
	"fmt"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/config"
)

// NewNames makes the lab's names resolve to the ingress controller from inside pods. K3s's CoreDNS imports the keys of
// the ConfigMap coredns-custom: *.server as server blocks, *.override into its own. Nodes resolve the names by their
// hosts files, which the preparation of the hosts writes.
func NewNames(
	ctx *pulumi.Context, name string, cfg *config.Config, opts ...pulumi.ResourceOption,
) (*corev1.ConfigMap, error) {
	data := pulumi.StringMap{"lab.server": pulumi.String(serverBlocks(cfg))}
	if len(cfg.Network.DNSServers) > 0 {
		data["lab.override"] = pulumi.String("forward . " + strings.Join(cfg.Network.DNSServers, " ") + "\n")
	}
	return corev1.NewConfigMap(ctx, name, &corev1.ConfigMapArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name:      pulumi.String("coredns-custom"),
			Namespace: pulumi.String("kube-system"),
		},
		Data: data,
	}, opts...)
}

// serverBlocks answers every name of the lab with the ingress address. CoreDNS prefers the longest zone, so a name
// below the domain that belongs to a node or to the API server gets a block of its own.
func serverBlocks(cfg *config.Config) string {
	var text strings.Builder
	addressBlock(&text, cfg.Domain, cfg.Network.IngressAddress)
	nodes := map[string]bool{}
	for _, node := range cfg.Cluster.Nodes {
		if within(node.Host, cfg.Domain) && node.Address != "" {
			addressBlock(&text, node.Host, node.Address)
			nodes[node.Host] = true
		}
	}
	if endpoint := cfg.Cluster.Endpoint; within(endpoint, cfg.Domain) && !nodes[endpoint] {
		fmt.Fprintf(&text, "%s:53 {\n    errors\n    cache 30\n    forward . %s\n}\n", endpoint, upstream(cfg))
	}
	return text.String()
}

// addressBlock writes a server block that answers a zone with one IPv4 address, and with an empty answer where another
// type of record is asked for.
func addressBlock(text *strings.Builder, zone, address string) {
	fmt.Fprintf(text, `%s:53 {
    errors
    cache 30
    template IN A {
        answer "{{ .Name }} 60 IN A %s"
    }
    template IN ANY {
        rcode NOERROR
    }
}
`, zone, address)
}

// within tells whether a name is the domain or below it.
func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// upstream is who answers what the lab itself does not.
func upstream(cfg *config.Config) string {
	if len(cfg.Network.DNSServers) > 0 {
		return strings.Join(cfg.Network.DNSServers, " ")
	}
	return "/etc/resolv.conf"
}
