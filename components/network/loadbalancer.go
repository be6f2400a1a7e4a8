package network

import (
	"time"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// webhookPort is where MetalLB's controller serves its admission webhook (templates/controller.yaml of the chart).
const webhookPort = 9443

// LoadBalancerArgs says what MetalLB hands out.
type LoadBalancerArgs struct {
	// Config of the stack. REQUIRED.
	Config *config.Config
	// Delivery declares charts. REQUIRED.
	Delivery *chart.Delivery
	// Surroundings render the flows. REQUIRED.
	Surroundings *tenant.Surroundings
}

// LoadBalancer is MetalLB in layer 2 mode: one node answers ARP for each address of the pool.
type LoadBalancer struct {
	pulumi.ResourceState

	// Advertisement is the last of its resources: a Service gets an address when it is there.
	Advertisement pulumi.Resource
}

// NewLoadBalancer installs MetalLB and gives it network.loadBalancerRange.
func NewLoadBalancer(
	ctx *pulumi.Context, name string, args *LoadBalancerArgs, opts ...pulumi.ResourceOption,
) (*LoadBalancer, error) {
	balancer := &LoadBalancer{}
	if err := ctx.RegisterComponentResource("homelab-ai:network:LoadBalancer", name, balancer, opts...); err != nil {
		return nil, err
	}

	// The speaker runs in the host's network, where no network policy applies; it needs the privileged level for that.
	space, err := tenant.New(ctx, name+"-tenant", &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    LoadBalancerNamespace,
		Level:        tenant.Privileged,
		Quota:        tenant.Quota{CPU: "2", Memory: "2Gi", Pods: 30},
		Flows: []tenant.Flow{
			tenant.ToAPIServer(),
			tenant.FromAPIServer(tenant.TCP(webhookPort)),
		},
	}, pulumi.Parent(balancer))
	if err != nil {
		return nil, err
	}

	release, err := chart.New(ctx, name+"-metallb", &chart.Args{
		Delivery:      args.Delivery,
		Chart:         "metallb",
		Namespace:     space.Name,
		NamespaceName: LoadBalancerNamespace,
		Values:        loadBalancerValues(),
		Timeout:       10 * time.Minute,
	}, pulumi.Parent(balancer))
	if err != nil {
		return nil, err
	}

	pool, err := apiextensions.NewCustomResource(ctx, name+"-pool", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("metallb.io/v1beta1"),
		Kind:       pulumi.String("IPAddressPool"),
		Metadata:   &metav1.ObjectMetaArgs{Name: pulumi.String(AddressPool), Namespace: space.Name},
		OtherFields: map[string]any{"spec": map[string]any{
			"addresses": []string{args.Config.Network.LoadBalancerRange},
			// .0 and .255 of a range are network and broadcast addresses for some old clients.
			"avoidBuggyIPs": true,
		}},
	}, pulumi.Parent(balancer), pulumi.DependsOn([]pulumi.Resource{release.Deployed}))
	if err != nil {
		return nil, err
	}

	spec := map[string]any{"ipAddressPools": []string{AddressPool}}
	if len(args.Config.Network.Interfaces) > 0 {
		spec["interfaces"] = args.Config.Network.Interfaces
	}
	balancer.Advertisement, err = apiextensions.NewCustomResource(ctx, name+"-advertisement",
		&apiextensions.CustomResourceArgs{
			ApiVersion:  pulumi.String("metallb.io/v1beta1"),
			Kind:        pulumi.String("L2Advertisement"),
			Metadata:    &metav1.ObjectMetaArgs{Name: pulumi.String(AddressPool), Namespace: space.Name},
			OtherFields: map[string]any{"spec": spec},
		}, pulumi.Parent(balancer), pulumi.DependsOn([]pulumi.Resource{pool}))
	if err != nil {
		return nil, err
	}
	return balancer, ctx.RegisterResourceOutputs(balancer, pulumi.Map{})
}

// loadBalancerValues are the values of the chart metallb for layer 2.
func loadBalancerValues() chart.Values {
	return chart.Values{
		// Layer 2 needs no BGP daemon; since 0.16 the chart brings one unless told otherwise.
		"frrk8s": chart.Values{"enabled": false},
		"crds": chart.Values{
			"enabled": true,
			// The webhook serves with a certificate that it makes after its pod is ready, so a call in the first
			// seconds fails. Ignore admits the object then; the controller checks the whole configuration again
			// when it loads it, and config/ has checked the range before that.
			"validationFailurePolicy": "Ignore",
		},
		"controller": chart.Values{"resources": chart.Resources("25m", "64Mi", "128Mi")},
		"speaker": chart.Values{
			"frr":       chart.Values{"enabled": false},
			"resources": chart.Resources("25m", "64Mi", "128Mi"),
		},
	}
}
