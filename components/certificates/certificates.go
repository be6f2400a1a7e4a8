// Package certificates makes every connection of the lab TLS: cert-manager signs with the lab's own CA, or gets
// certificates from Let's Encrypt, and trust-manager hands the lab's CA to every tenant.
//
// The lab's CA is made on the first server before K3s starts, and the nodes trust it from then on. The cluster's
// issuer signs with the same key, so there is one thing to trust.
package certificates

import (
	"strings"
	"time"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	// Namespace of cert-manager and trust-manager; also where ClusterIssuers look for secrets and Bundles for sources.
	Namespace = "cert-manager"
	// Issuer signs what browsers see: the ClusterIssuer of tls.issuer.
	Issuer = "lab"
	// InternalIssuer signs with the lab's CA, whatever tls.issuer says.
	InternalIssuer = "lab-internal"
	// Bundle is the ConfigMap with the lab's CA in every tenant.
	Bundle = "lab-ca"
	// BundleKey is its key.
	BundleKey = "ca.crt"
)

// letsEncrypt is the value of tls.issuer that is not the default.
const letsEncrypt = "letsencrypt"

// Ports of the charts' webhooks (values webhook.securePort of cert-manager and app.webhook.port of trust-manager).
const (
	certManagerWebhookPort  = 10250
	trustManagerWebhookPort = 6443
)

// Args says who signs.
type Args struct {
	// Config of the stack. REQUIRED.
	Config *config.Config
	// Delivery declares charts. REQUIRED.
	Delivery *chart.Delivery
	// Surroundings render the flows. REQUIRED.
	Surroundings *tenant.Surroundings
	// CACertificate and CAKey are the lab's CA (PEM); the key must be a secret. REQUIRED.
	CACertificate pulumi.StringInput
	CAKey         pulumi.StringInput
	// IngressTenant is the namespace that the wildcard certificate is issued into. REQUIRED.
	IngressTenant *tenant.Tenant
}

// Certificates is the lab's public key infrastructure inside the cluster.
type Certificates struct {
	pulumi.ResourceState

	// Wildcard is ready when the secret network.CertificateSecret is there.
	Wildcard pulumi.Resource
	// Trust is ready when the lab's CA is on its way into every tenant.
	Trust pulumi.Resource
}

// New installs cert-manager and trust-manager, the issuers, the certificate of the ingress and the trust bundle.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Certificates, error) {
	certificates := &Certificates{}
	err := ctx.RegisterComponentResource("homelab-ai:certificates:Certificates", name, certificates, opts...)
	if err != nil {
		return nil, err
	}
	cfg, child := args.Config, pulumi.Parent(certificates)

	space, err := tenant.New(ctx, name+"-tenant", &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    Namespace,
		Level:        tenant.Restricted,
		Quota:        tenant.Quota{CPU: "2", Memory: "4Gi", Pods: 20},
		Flows:        flows(cfg),
		Protect:      cfg.Protected(),
	}, child)
	if err != nil {
		return nil, err
	}

	manager, err := chart.New(ctx, name+"-cert-manager", &chart.Args{
		Delivery:      args.Delivery,
		Chart:         "cert-manager",
		Namespace:     space.Name,
		NamespaceName: Namespace,
		Values:        certManagerValues(cfg),
		Timeout:       10 * time.Minute,
	}, child)
	if err != nil {
		return nil, err
	}
	ready := pulumi.DependsOn([]pulumi.Resource{manager.Deployed})

	issuer, err := newIssuers(ctx, name, args, space, ready, child)
	if err != nil {
		return nil, err
	}
	certificates.Wildcard, err = newWildcard(ctx, name, args, issuer, child)
	if err != nil {
		return nil, err
	}
	certificates.Trust, err = newTrust(ctx, name, args, space, ready, child)
	if err != nil {
		return nil, err
	}
	return certificates, ctx.RegisterResourceOutputs(certificates, pulumi.Map{})
}

// newWildcard asks for the certificate that the ingress controller serves, and waits for it: the controller does not
// start without it.
func newWildcard(
	ctx *pulumi.Context, name string, args *Args, issuer pulumi.Resource, opts ...pulumi.ResourceOption,
) (pulumi.Resource, error) {
	return apiextensions.NewCustomResource(ctx, name+"-wildcard", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("cert-manager.io/v1"),
		Kind:       pulumi.String("Certificate"),
		Metadata: &metav1.ObjectMetaArgs{
			Name:        pulumi.String(network.CertificateSecret),
			Namespace:   args.IngressTenant.Name,
			Annotations: pulumi.StringMap{"pulumi.com/waitFor": pulumi.String("condition=Ready")},
		},
		OtherFields: map[string]any{"spec": map[string]any{
			"secretName": network.CertificateSecret,
			"dnsNames":   []string{args.Config.Domain, "*." + args.Config.Domain},
			"issuerRef":  map[string]any{"group": "cert-manager.io", "kind": "ClusterIssuer", "name": Issuer},
			"privateKey": map[string]any{"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
		}},
	}, append(opts, pulumi.DependsOn([]pulumi.Resource{issuer}))...)
}

// flows let the API server reach the two webhooks and, with Let's Encrypt, cert-manager the internet and the DNS
// servers that show whether a challenge is visible yet.
func flows(cfg *config.Config) []tenant.Flow {
	flows := []tenant.Flow{
		tenant.ToAPIServer(),
		tenant.FromAPIServer(tenant.TCP(certManagerWebhookPort), tenant.TCP(trustManagerWebhookPort)),
	}
	if cfg.TLS.Issuer == letsEncrypt {
		flows = append(flows, acmeFlows(cfg)...)
	}
	return flows
}

// certManagerValues are the values of the chart cert-manager.
func certManagerValues(cfg *config.Config) chart.Values {
	values := chart.Values{
		"crds":         chart.Values{"enabled": true, "keep": true},
		"replicaCount": cfg.Cluster.CoreReplicas,
		"resources":    chart.Resources("20m", "64Mi", "256Mi"),
		"webhook": chart.Values{
			"replicaCount": cfg.Cluster.CoreReplicas,
			"resources":    chart.Resources("10m", "32Mi", "128Mi"),
		},
		"cainjector": chart.Values{
			"replicaCount": cfg.Cluster.CoreReplicas,
			"resources":    chart.Resources("20m", "96Mi", "384Mi"),
		},
		// Its hook waits until the webhook answers, so the release is done when issuers can be created.
		"startupapicheck": chart.Values{"enabled": true, "resources": chart.Resources("10m", "32Mi", "128Mi")},
		// Leases stay in the namespace of its own: the roles for kube-system are not made then.
		"global": chart.Values{"leaderElection": chart.Values{"namespace": Namespace}},
	}
	if cfg.TLS.Issuer == letsEncrypt {
		// Inside the lab its own names resolve to the ingress controller; challenges are looked up outside.
		values["dns01RecursiveNameservers"] = strings.Join(cfg.TLS.LetsEncrypt.RecursiveNameservers, ",")
		values["dns01RecursiveNameserversOnly"] = true
	}
	return values
}

// newTrust installs trust-manager, whose webhook gets its certificate from cert-manager, and declares the bundle.
func newTrust(
	ctx *pulumi.Context, name string, args *Args, space *tenant.Tenant, ready, child pulumi.ResourceOption,
) (pulumi.Resource, error) {
	manager, err := chart.New(ctx, name+"-trust-manager", &chart.Args{
		Delivery:      args.Delivery,
		Chart:         "trust-manager",
		Namespace:     space.Name,
		NamespaceName: Namespace,
		Values:        trustManagerValues(args.Config),
		Timeout:       10 * time.Minute,
	}, child, ready)
	if err != nil {
		return nil, err
	}
	return apiextensions.NewCustomResource(ctx, name+"-bundle", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("trust.cert-manager.io/v1alpha1"),
		Kind:       pulumi.String("Bundle"),
		Metadata: &metav1.ObjectMetaArgs{
			Name:        pulumi.String(Bundle),
			Annotations: pulumi.StringMap{"pulumi.com/waitFor": pulumi.String("condition=Synced")},
		},
		OtherFields: map[string]any{"spec": map[string]any{
			"sources": []any{
				map[string]any{"inLine": args.CACertificate},
				// Public authorities too, because programs take one file for all: SSL_CERT_FILE replaces their own list.
				map[string]any{"useDefaultCAs": true},
			},
			"target": map[string]any{
				"configMap":         map[string]any{"key": BundleKey},
				"namespaceSelector": map[string]any{"matchLabels": map[string]any{tenant.Label: tenant.LabelValue}},
			},
		}},
	}, child, pulumi.DependsOn([]pulumi.Resource{manager.Deployed}))
}

// trustManagerValues are the values of the chart trust-manager.
func trustManagerValues(cfg *config.Config) chart.Values {
	return chart.Values{
		"crds":           chart.Values{"enabled": true, "keep": true},
		"replicaCount":   cfg.Cluster.CoreReplicas,
		"resources":      chart.Resources("20m", "64Mi", "256Mi"),
		"secretTargets":  chart.Values{"enabled": false},
		"defaultPackage": chart.Values{"enabled": true, "resources": chart.Resources("10m", "32Mi", "64Mi")},
		"app":            chart.Values{"trust": chart.Values{"namespace": Namespace}},
	}
}

// newSecret is a Secret that cert-manager's issuers name.
func newSecret(
	ctx *pulumi.Context, name, object string, space *tenant.Tenant, data pulumi.StringMap, opts ...pulumi.ResourceOption,
) (*corev1.Secret, error) {
	return corev1.NewSecret(ctx, name, &corev1.SecretArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(object), Namespace: space.Name},
		Type:     pulumi.String(secretType(data)),
		Data:     tenant.SecretData(data),
	}, opts...)
}

// secretType is the type that fits the keys.
func secretType(data pulumi.StringMap) string {
	if _, ok := data["tls.key"]; ok {
		return "kubernetes.io/tls"
	}
	return "Opaque"
}
