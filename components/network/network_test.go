package network

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/internal/recording"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// entrance declares all of the package.
func entrance(t *testing.T, cfg *config.Config) *recording.Graph {
	t.Helper()
	return recording.Run(t, func(ctx *pulumi.Context) error {
		on, err := recording.Provider(ctx)
		if err != nil {
			return err
		}
		delivery, around := chart.From(cfg), tenant.Around(cfg)
		balancer, err := NewLoadBalancer(ctx, "load-balancer", &LoadBalancerArgs{
			Config: cfg, Delivery: delivery, Surroundings: around,
		}, on)
		if err != nil {
			return err
		}
		space, err := NewIngressTenant(ctx, "ingress-tenant", cfg, around, on)
		if err != nil {
			return err
		}
		controller, err := NewIngressController(ctx, "ingress", &IngressControllerArgs{
			Config: cfg, Delivery: delivery, Tenant: space, Certificate: space, LoadBalancer: balancer,
		}, on)
		if err != nil {
			return err
		}
		if _, err := NewNames(ctx, "names", cfg, on); err != nil {
			return err
		}
		_, err = NewIngress(ctx, "chat", &IngressArgs{
			Namespace: space.Name, Host: "chat.lab.home.arpa", Service: "chat", Port: 80, Websockets: true,
			Streaming: true, BodySize: "10m", BackendTLS: true,
		}, on, pulumi.DependsOn([]pulumi.Resource{controller.Deployed}))
		return err
	})
}

func TestAnnotationsAreTheControllersOwn(t *testing.T) {
	t.Parallel()
	graph := entrance(t, recording.Stack(t, "homelab"))
	annotations := recording.At(t, graph.Inputs(t, "chat"), "metadata", "annotations").(map[string]any)
	require.Len(t, annotations, 7)
	for key, value := range annotations {
		assert.True(t, strings.HasPrefix(key, "nginx.org/"), key)
		assert.IsType(t, "", value, key)
	}
	for _, key := range []string{"nginx.org/ssl-redirect", "nginx.org/proxy-buffering"} {
		_, err := strconv.ParseBool(annotations[key].(string))
		assert.NoError(t, err, key)
	}
	assert.Equal(t, "chat", annotations["nginx.org/websocket-services"])
	assert.Equal(t, "3600s", annotations["nginx.org/proxy-read-timeout"])
}

func TestPlainIngressHasNoMoreThanTheRedirect(t *testing.T) {
	t.Parallel()
	assert.Equal(t, map[string]string{"nginx.org/ssl-redirect": "true"},
		ingressAnnotations(&IngressArgs{Service: "web"}))
}

func TestIngressServesTheWildcardCertificate(t *testing.T) {
	t.Parallel()
	spec := recording.At(t, entrance(t, recording.Stack(t, "homelab")).Inputs(t, "chat"), "spec").(map[string]any)
	assert.Equal(t, IngressClass, spec["ingressClassName"])
	// Without a secret name the controller serves its wildcard certificate.
	assert.Equal(t, []any{map[string]any{"hosts": []any{"chat.lab.home.arpa"}}}, spec["tls"])
}

func TestIncompleteIngressIsRefused(t *testing.T) {
	t.Parallel()
	namespace := pulumi.String("chat")
	for name, args := range map[string]*IngressArgs{
		"nothing":      nil,
		"no namespace": {Host: "a.b", Service: "s", Port: 80},
		"no host":      {Namespace: namespace, Service: "s", Port: 80},
		"no service":   {Namespace: namespace, Host: "a.b", Port: 80},
		"no port":      {Namespace: namespace, Host: "a.b", Service: "s"},
	} {
		err := (&recording.Graph{}).Run(func(ctx *pulumi.Context) error {
			_, err := NewIngress(ctx, "chat", args)
			return err
		})
		assert.ErrorContains(t, err, "ingress chat", name)
	}
}

func TestControllerStartsAfterItsCertificateAndAddress(t *testing.T) {
	t.Parallel()
	graph := entrance(t, recording.Stack(t, "homelab"))
	assert.True(t, graph.DependsOn(t, "ingress-nginx-release", "load-balancer-advertisement"))
	assert.True(t, graph.DependsOn(t, "ingress-nginx-release", "ingress-tenant-default-deny"))
	assert.True(t, graph.DependsOn(t, "load-balancer-advertisement", "load-balancer-pool"))
	assert.True(t, graph.DependsOn(t, "load-balancer-pool", "load-balancer-metallb-release"))

	values := recording.At(t, graph.Inputs(t, "ingress-nginx-release"), "values", "controller")
	for _, key := range []string{"defaultTLS", "wildcardTLS"} {
		assert.Equal(t, "nginx-ingress/lab-wildcard", recording.At(t, values, key, "secret"))
	}
	assert.Equal(t, false, recording.At(t, values, "enableCustomResources"))
	assert.Equal(t, false, recording.At(t, values, "telemetryReporting", "enable"))
}

func TestAddressPoolIsTheConfiguredRange(t *testing.T) {
	t.Parallel()
	cfg := recording.Stack(t, "homelab")
	cfg.Network.Interfaces = []string{"eth0"}
	graph := entrance(t, cfg)
	assert.Equal(t, []any{cfg.Network.LoadBalancerRange},
		recording.At(t, graph.Inputs(t, "load-balancer-pool"), "spec", "addresses"))
	assert.Equal(t, []any{"eth0"}, recording.At(t, graph.Inputs(t, "load-balancer-advertisement"), "spec", "interfaces"))
	values := recording.At(t, graph.Inputs(t, "load-balancer-metallb-release"), "values")
	assert.Equal(t, false, recording.At(t, values, "frrk8s", "enabled"))
	assert.Equal(t, "Ignore", recording.At(t, values, "crds", "validationFailurePolicy"))
}

func TestSharedAddressNeedsClusterPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ssh, policy string }{
		{"192.168.1.200", "Cluster"},
		{"192.168.1.201", "Local"},
	} {
		cfg := recording.Stack(t, "homelab")
		cfg.Network.IngressAddress, cfg.Network.GitLabSSHAddress = "192.168.1.200", c.ssh
		service := recording.At(t, entrance(t, cfg).Inputs(t, "ingress-nginx-release"), "values", "controller", "service")
		assert.Equal(t, c.policy, recording.At(t, service, "externalTrafficPolicy"))
		assert.Equal(t, map[string]any{
			"metallb.io/loadBalancerIPs": "192.168.1.200", "metallb.io/allow-shared-ip": SharedAddressKey,
		}, recording.At(t, service, "annotations"))
	}
}

func TestAllowListHasNoWayAround(t *testing.T) {
	t.Parallel()
	cfg := recording.Stack(t, "homelab")
	cfg.Network.AllowedSources = []string{"192.168.1.0/25", cfg.Cluster.PodCIDR}
	service := recording.At(t, entrance(t, cfg).Inputs(t, "ingress-nginx-release"), "values", "controller", "service")
	ranges := recording.At(t, service, "loadBalancerSourceRanges").([]any)
	assert.Equal(t, "192.168.1.0/25", ranges[0])
	assert.Len(t, ranges, 2+len(cfg.Cluster.Nodes), "the sources, the pods once, and each node")
	assert.Equal(t, false, recording.At(t, service, "allocateLoadBalancerNodePorts"))
}

func TestReplicasAreSpread(t *testing.T) {
	t.Parallel()
	cfg := recording.Stack(t, "homelab")
	one := controllerValues(cfg)["controller"].(chart.Values)
	assert.Equal(t, 1, one["replicaCount"])
	assert.NotContains(t, one, "podDisruptionBudget")
	cfg.Cluster.CoreReplicas = 2
	two := controllerValues(cfg)["controller"].(chart.Values)
	assert.Equal(t, 2, two["replicaCount"])
	assert.Contains(t, two, "podDisruptionBudget")
	assert.Contains(t, two, "topologySpreadConstraints")
}

func TestNamesResolveToTheIngress(t *testing.T) {
	t.Parallel()
	cfg := recording.Stack(t, "homelab")
	graph := entrance(t, cfg)
	names := graph.Inputs(t, "names")
	assert.Equal(t, "coredns-custom", recording.At(t, names, "metadata", "name"))
	assert.Equal(t, "kube-system", recording.At(t, names, "metadata", "namespace"))
	block := recording.At(t, names, "data", "lab.server").(string)
	assert.Contains(t, block, cfg.Domain+":53 {")
	assert.Contains(t, block, fmt.Sprintf(`answer "{{ .Name }} 60 IN A %s"`, cfg.Network.IngressAddress))
	assert.Equal(t, strings.Count(block, "{\n"), strings.Count(block, "}\n"), "every block is closed")
	assert.NotContains(t, names["data"], "lab.override")
}

func TestNamesOfNodesAreTheirOwn(t *testing.T) {
	t.Parallel()
	cfg := recording.Stack(t, "homelab")
	cfg.Cluster.Nodes[0].Host, cfg.Cluster.Nodes[0].Address = "node."+cfg.Domain, "192.168.1.20"
	cfg.Cluster.Endpoint = "api." + cfg.Domain
	cfg.Network.DNSServers = []string{"192.168.1.1", "9.9.9.9"}
	blocks := serverBlocks(cfg)
	assert.Contains(t, blocks, "node."+cfg.Domain+":53 {")
	assert.Contains(t, blocks, `IN A 192.168.1.20"`)
	assert.Contains(t, blocks, "api."+cfg.Domain+":53 {\n    errors\n    cache 30\n    forward . 192.168.1.1 9.9.9.9\n")
	assert.Equal(t, "forward . 192.168.1.1 9.9.9.9\n",
		recording.At(t, entrance(t, cfg).Inputs(t, "names"), "data", "lab.override"))
}
