package network

import (
	"strconv"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// hstsMaxAge is for how long browsers refuse plain HTTP after one visit (seconds, one year).
const hstsMaxAge = 31536000

// NewIngressTenant makes the namespace of the ingress controller. It is apart from the controller because the
// certificate that the controller cannot start without is issued into it first.
func NewIngressTenant(
	ctx *pulumi.Context, name string, cfg *config.Config, around *tenant.Surroundings, opts ...pulumi.ResourceOption,
) (*tenant.Tenant, error) {
	return tenant.New(ctx, name, &tenant.Args{
		Surroundings: around,
		Namespace:    IngressNamespace,
		Level:        tenant.Restricted,
		Quota:        tenant.Quota{CPU: "2", Memory: "2Gi", Pods: 10},
		Flows: []tenant.Flow{
			tenant.ToAPIServer(),
			// Who may come in at all is the allow-list of the Service, which sees the clients' own addresses; a policy
			// sees the node's where the Service translates them.
			tenant.FromLAN(clientRanges(cfg), tenant.TCP(httpPort), tenant.TCP(httpsPort)),
			// To any pod: each service decides with FromIngress whether and where it is reached.
			tenant.ExternalTo([]string{cfg.Cluster.PodCIDR}),
		},
	}, opts...)
}

// IngressControllerArgs says what the ingress controller serves with.
type IngressControllerArgs struct {
	// Config of the stack. REQUIRED.
	Config *config.Config
	// Delivery declares charts. REQUIRED.
	Delivery *chart.Delivery
	// Tenant is the namespace, made by NewIngressTenant. REQUIRED.
	Tenant *tenant.Tenant
	// Certificate is ready when CertificateSecret is there: the controller exits without it. REQUIRED.
	Certificate pulumi.Resource
	// LoadBalancer gives the Service its address. REQUIRED.
	LoadBalancer *LoadBalancer
}

// IngressController is F5 NGINX Ingress Controller on network.ingressAddress.
type IngressController struct {
	pulumi.ResourceState

	// Deployed is what an Ingress needs to be served.
	Deployed pulumi.Resource
}

// NewIngressController installs the controller and its Service on the one fixed address.
func NewIngressController(
	ctx *pulumi.Context, name string, args *IngressControllerArgs, opts ...pulumi.ResourceOption,
) (*IngressController, error) {
	controller := &IngressController{}
	err := ctx.RegisterComponentResource("homelab-ai:network:IngressController", name, controller, opts...)
	if err != nil {
		return nil, err
	}
	nginx, err := chart.New(ctx, name+"-nginx", &chart.Args{
		Delivery:      args.Delivery,
		Chart:         "nginx-ingress",
		Namespace:     args.Tenant.Name,
		NamespaceName: IngressNamespace,
		Values:        controllerValues(args.Config),
		Timeout:       10 * time.Minute,
		SkipCRDs:      true,
	}, pulumi.Parent(controller),
		pulumi.DependsOn([]pulumi.Resource{args.Certificate, args.LoadBalancer.Advertisement}))
	if err != nil {
		return nil, err
	}
	controller.Deployed = nginx.Deployed
	return controller, ctx.RegisterResourceOutputs(controller, pulumi.Map{})
}

// controllerValues are the values of the chart nginx-ingress. Custom resources are off: Ingress says all that the
// lab needs, and the chart's CRDs, which Helm never upgrades, are not needed then.
func controllerValues(cfg *config.Config) chart.Values {
	secret := IngressNamespace + "/" + CertificateSecret
	controller := chart.Values{
		"replicaCount":           cfg.Cluster.CoreReplicas,
		"enableCustomResources":  false,
		"enableSnippets":         false,
		"telemetryReporting":     chart.Values{"enable": false},
		"defaultTLS":             chart.Values{"secret": secret},
		"wildcardTLS":            chart.Values{"secret": secret},
		"ingressClass":           chart.Values{"name": IngressClass, "create": true},
		"reportIngressStatus":    chart.Values{"enable": true},
		"readOnlyRootFilesystem": true,
		"resources":              chart.Resources("100m", "192Mi", "512Mi"),
		"initContainerResources": chart.Resources("10m", "32Mi", "128Mi"),
		"config":                 chart.Values{"entries": controllerSettings(cfg)},
		"service": chart.Values{
			"type":                          "LoadBalancer",
			"allocateLoadBalancerNodePorts": false, // a node port would pass by the allow-list
			"externalTrafficPolicy":         trafficPolicy(cfg),
			"loadBalancerSourceRanges":      clientRanges(cfg),
			"annotations": chart.Values{
				AddressAnnotation:       cfg.Network.IngressAddress,
				SharedAddressAnnotation: SharedAddressKey,
			},
		},
	}
	if cfg.Cluster.CoreReplicas > 1 {
		// Replicas help on different nodes alone, and a drained node must not take all of them.
		controller["topologySpreadConstraints"] = []any{chart.Values{
			"maxSkew":           1,
			"topologyKey":       "kubernetes.io/hostname",
			"whenUnsatisfiable": "ScheduleAnyway",
			"labelSelector":     chart.Values{"matchLabels": chart.Values{"app.kubernetes.io/name": "nginx-ingress"}},
		}}
		controller["podDisruptionBudget"] = chart.Values{"enabled": true, "minAvailable": 1}
	}
	return chart.Values{"controller": controller}
}

// controllerSettings are the entries of the controller's ConfigMap, all strings.
func controllerSettings(cfg *config.Config) chart.Values {
	return chart.Values{
		"ssl-redirect":         "True",
		"ssl-protocols":        "TLSv1.2 TLSv1.3",
		"http2":                "True",
		"hsts":                 "True",
		"hsts-max-age":         strconv.Itoa(hstsMaxAge),
		"client-max-body-size": cfg.Network.BodySize,
		// Uploads go straight to the service: spooled first, a container image would fill the pod's disk.
		"location-snippets":             "proxy_request_buffering off;",
		"server-tokens":                 "False",
		"server-names-hash-bucket-size": "128",
	}
}

// trafficPolicy is Local where it can be, because NGINX then sees the clients' own addresses. MetalLB lets two
// Services with different pods share an address with Cluster alone, which hides the clients behind the node.
func trafficPolicy(cfg *config.Config) string {
	if cfg.Network.GitLabSSHAddress == cfg.Network.IngressAddress {
		return "Cluster"
	}
	return "Local"
}

// clientRanges are network.allowedSources, and the lab itself: its pods (whose flows are policies' business) and its
// nodes, which pull images from the lab's registry.
func clientRanges(cfg *config.Config) []string {
	ranges := append([]string{}, cfg.Network.AllowedSources...)
	ranges = append(ranges, cfg.Cluster.PodCIDR)
	for _, node := range cfg.Cluster.Nodes {
		ranges = append(ranges, node.Address+"/32")
	}
	seen := map[string]bool{}
	unique := ranges[:0]
	for _, r := range ranges {
		if !seen[r] {
			seen[r] = true
			unique = append(unique, r)
		}
	}
	return unique
}
