// Package gitops installs Argo CD and says what it may deploy: the lab's own workloads in one AppProject, and the
// user's applications in another.
//
// Argo CD renders and applies workload charts. Everything that must outlive it (its password, the secrets, claims and
// namespaces of the workloads) belongs to Pulumi.
package gitops

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/certificates"
	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/monitoring"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	// Namespace of Argo CD and of every Application.
	Namespace = "argocd"
	// LabProject is the AppProject of the lab's own workloads.
	LabProject = "lab"
	// UserProject is the AppProject of the user's own applications.
	UserProject = "user"
	// UserNamespace is the tenant that they go to.
	UserNamespace = "apps"
	// release is the name of the Helm release, and the prefix of the objects' names.
	release = "argocd"
)

// serverPort is where the API server's pods listen (value server.containerPorts.server), and servicePort the port of
// its Service (value server.service.servicePortHttp).
const (
	serverPort  = 8080
	servicePort = 80
)

// metricsPorts are where its parts are scraped (values <part>.containerPorts.metrics).
func metricsPorts() []tenant.Port {
	return []tenant.Port{tenant.TCP(8082), tenant.TCP(8083), tenant.TCP(8084)}
}

// passwordLength of the generated admin password. bcrypt takes 72 bytes.
const passwordLength = 32

// Args says what Argo CD may deploy.
type Args struct {
	// Config of the stack. REQUIRED.
	Config *config.Config
	// Delivery declares charts; Argo CD itself is a Helm release. REQUIRED.
	Delivery *chart.Delivery
	// Surroundings render the flows. REQUIRED.
	Surroundings *tenant.Surroundings
	// Ingress serves the web interface. REQUIRED.
	Ingress *network.IngressController
	// Trust is the bundle with the lab's CA, mounted where repositories are read. REQUIRED.
	Trust pulumi.Resource
	// Kinds are the CRDs of the Prometheus operator, for Argo CD's ServiceMonitors. REQUIRED.
	Kinds pulumi.Resource
	// CACertificate of the lab (PEM), trusted for repositories within the lab. REQUIRED.
	CACertificate pulumi.StringInput
	// Namespaces are the tenants that the lab's own workloads go to. REQUIRED.
	Namespaces []string
}

// GitOps is Argo CD.
type GitOps struct {
	pulumi.ResourceState

	// Project is the resource that every Application of the lab needs.
	Project pulumi.Resource
	// URL of the web interface.
	URL string
	// AdminPassword is the first password of the user admin. It is a secret.
	AdminPassword pulumi.StringOutput
}

// New installs Argo CD with its two AppProjects.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*GitOps, error) {
	gitops := &GitOps{}
	if err := ctx.RegisterComponentResource("homelab-ai:gitops:GitOps", name, gitops, opts...); err != nil {
		return nil, err
	}
	cfg, child := args.Config, pulumi.Parent(gitops)

	space, err := tenant.New(ctx, name+"-tenant", &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    Namespace,
		Level:        tenant.Restricted,
		Quota:        tenant.Quota{CPU: "4", Memory: "8Gi", Pods: 20},
		Flows:        flows(cfg),
		Protect:      cfg.Protected(),
	}, child)
	if err != nil {
		return nil, err
	}
	secrets, checksum, err := gitops.newSecrets(ctx, name, args.Delivery, space, child)
	if err != nil {
		return nil, err
	}

	argo, err := chart.New(ctx, name+"-argo-cd", &chart.Args{
		Delivery:        args.Delivery,
		Chart:           "argo-cd",
		Release:         release,
		Namespace:       space.Name,
		NamespaceName:   Namespace,
		Values:          values(cfg, args.Delivery, args.CACertificate),
		Timeout:         15 * time.Minute,
		SecretChecksums: map[string]pulumi.StringInput{"global.podAnnotations": checksum},
	}, child, pulumi.DependsOn(append(secrets, args.Trust, args.Kinds)))
	if err != nil {
		return nil, err
	}

	if _, err := newUserTenant(ctx, name+"-user-tenant", args, child); err != nil {
		return nil, err
	}
	ours := labProject(args.Delivery, args.Namespaces)
	gitops.Project, err = newProject(ctx, name+"-project-lab", ours, space, argo.Deployed, child)
	if err != nil {
		return nil, err
	}
	if _, err := newProject(ctx, name+"-project-user", userProject(cfg), space, argo.Deployed, child); err != nil {
		return nil, err
	}

	host := cfg.GitOps.Host
	gitops.URL = "https://" + host
	_, err = network.NewIngress(ctx, name+"-ingress", &network.IngressArgs{
		Namespace: space.Name,
		Host:      host,
		Service:   release + "-server",
		Port:      servicePort,
		Streaming: true, // the web interface follows the state of applications by server-sent events
	}, child, pulumi.DependsOn([]pulumi.Resource{argo.Deployed, args.Ingress.Deployed}))
	if err != nil {
		return nil, err
	}
	return gitops, ctx.RegisterResourceOutputs(gitops, pulumi.Map{"adminPassword": gitops.AdminPassword})
}

// newUserTenant makes the namespace of the user's applications: reachable through the ingress, able to reach the
// internet and the lab's URLs, and nothing else.
func newUserTenant(
	ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption,
) (*tenant.Tenant, error) {
	return tenant.New(ctx, name, &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    UserNamespace,
		Level:        tenant.Restricted,
		Flows:        []tenant.Flow{tenant.Internal(), tenant.FromIngress(), tenant.ToIngress(), tenant.External()},
		Protect:      args.Config.Protected(),
	}, opts...)
}

// newSecrets makes what Argo CD would otherwise draw itself: the admin password, the key that signs sessions and the
// password of its Redis. bcrypt draws a salt, so the hash is made once, by the resource that keeps the password.
func (g *GitOps) newSecrets(
	ctx *pulumi.Context, name string, delivery *chart.Delivery, space *tenant.Tenant, child pulumi.ResourceOption,
) ([]pulumi.Resource, pulumi.StringOutput, error) {
	admin, err := random.NewRandomPassword(ctx, name+"-admin-password", &random.RandomPasswordArgs{
		Length: pulumi.Int(passwordLength), Special: pulumi.Bool(false),
	}, child)
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	session, err := random.NewRandomPassword(ctx, name+"-session-key", &random.RandomPasswordArgs{
		Length: pulumi.Int(2 * passwordLength), Special: pulumi.Bool(false),
	}, child)
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	redis, err := random.NewRandomPassword(ctx, name+"-redis-password", &random.RandomPasswordArgs{
		Length: pulumi.Int(passwordLength), Special: pulumi.Bool(false),
	}, child)
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	g.AdminPassword = admin.Result

	data := pulumi.StringMap{
		"admin.password": admin.BcryptHash,
		// When the password was set. Sessions from before are refused, so it must not move by itself.
		"admin.passwordMtime": pulumi.String("2026-01-01T00:00:00Z"),
		"server.secretkey":    session.Result,
	}
	settings, err := corev1.NewSecret(ctx, name+"-secret", &corev1.SecretArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name:      pulumi.String("argocd-secret"),
			Namespace: space.Name,
			Labels: pulumi.StringMap{
				"app.kubernetes.io/name":    pulumi.String("argocd-secret"),
				"app.kubernetes.io/part-of": pulumi.String("argocd"), // Argo CD reads no secret without it
			},
		},
		Data: tenant.SecretData(data),
	}, child)
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	cache, err := space.NewSecret(ctx, "argocd-redis", map[string]pulumi.StringInput{"auth": redis.Result})
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	checksum := delivery.Checksum(session.Result, admin.BcryptHash, redis.Result)
	return []pulumi.Resource{settings, cache}, checksum, nil
}

// flows let the parts of Argo CD talk to each other and to the API server, the web interface be reached, and
// repositories be read: on the internet, in the lab's own GitLab, and at the mirror.
func flows(cfg *config.Config) []tenant.Flow {
	const https, ssh = 443, 22
	flows := []tenant.Flow{
		tenant.Internal(),
		tenant.ToAPIServer(),
		tenant.FromIngress(tenant.TCP(serverPort)),
		tenant.From(monitoring.Namespace, nil, metricsPorts()...),
		tenant.ToIngress(),
		tenant.External(tenant.TCP(https), tenant.TCP(ssh)),
	}
	if cidrs, port, ok := mirrorRange(cfg); ok {
		flows = append(flows, tenant.ExternalTo(cidrs, tenant.TCP(port)))
	}
	return flows
}

// mirrorRange is where the chart mirror is, as far as a policy can say: its address, or the LAN for a name.
func mirrorRange(cfg *config.Config) ([]string, int, bool) {
	mirror, err := url.Parse(cfg.ChartMirror)
	if err != nil || mirror.Hostname() == "" {
		return nil, 0, false
	}
	port, err := strconv.Atoi(mirror.Port())
	if err != nil {
		port = 443
		if mirror.Scheme == "http" {
			port = 80
		}
	}
	if address, err := netip.ParseAddr(mirror.Hostname()); err == nil {
		return []string{netip.PrefixFrom(address, address.BitLen()).String()}, port, true
	}
	return []string{cfg.Network.LANCIDR}, port, true
}

// values are the values of the chart argo-cd.
func values(cfg *config.Config, delivery *chart.Delivery, ca pulumi.StringInput) chart.Values {
	host := cfg.GitOps.Host
	return chart.Values{
		"crds": chart.Values{"install": true, "keep": true},
		"global": chart.Values{
			"domain": host,
			// The chart's policies would open the server to every namespace; the tenant's flows are all there is.
			"networkPolicy": chart.Values{"create": false},
		},
		"configs": chart.Values{
			"params": chart.Values{
				"server.insecure": true, // TLS ends at NGINX
				// Argo CD 3 keeps the health of single objects to itself by default. When an Application does not become
				// healthy, the status has to name the object that is not.
				"controller.resource.health.persist": true,
			},
			"secret": chart.Values{"createSecret": false},
			// Names that certificates are pinned for; repositories in the lab are served with the lab's CA.
			"tls":          chart.Values{"certificates": caFor(cfg, ca)},
			"repositories": ociRepositories(delivery),
		},
		"dex":             chart.Values{"enabled": false},
		"redis-ha":        chart.Values{"enabled": false},
		"redisSecretInit": chart.Values{"enabled": false}, // argocd-redis is ours
		"notifications":   chart.Values{"enabled": false},
		"controller":      chart.Values{"resources": chart.Resources("100m", "384Mi", "2Gi"), "metrics": scraped()},
		"server": chart.Values{
			"replicas":  cfg.Cluster.CoreReplicas,
			"resources": chart.Resources("50m", "128Mi", "512Mi"),
			"metrics":   scraped(),
		},
		"repoServer":     repoServer(cfg),
		"applicationSet": chart.Values{"resources": chart.Resources("25m", "64Mi", "256Mi")},
		"redis":          chart.Values{"resources": chart.Resources("25m", "64Mi", "256Mi")},
	}
}

// scraped lets Prometheus find a part of Argo CD.
func scraped() chart.Values {
	return chart.Values{"enabled": true, "serviceMonitor": chart.Values{"enabled": true}}
}

// ociRepositories tells Argo CD which chart repositories are OCI registries: an Application names them without the
// scheme, and Argo CD takes them for the other kind unless it is told.
func ociRepositories(delivery *chart.Delivery) chart.Values {
	known := chart.Values{}
	add := func(repository string) {
		if address, ok := strings.CutPrefix(strings.TrimSuffix(repository, "/"), "oci://"); ok {
			known[strings.NewReplacer(".", "-", "/", "-", ":", "-").Replace(address)] = chart.Values{
				"name": address, "url": address, "type": "helm", "enableOCI": "true",
			}
		}
	}
	if delivery.Mirror != "" {
		add(delivery.Mirror)
		return known
	}
	for _, entry := range delivery.Catalogue {
		add(entry.Repository)
	}
	return known
}

// repoServer renders charts. It takes the lab's CA together with the public ones from the trust bundle, for chart
// repositories that the certificates below configs.tls do not reach, such as OCI registries.
func repoServer(cfg *config.Config) chart.Values {
	const directory = "/etc/lab-ca"
	return chart.Values{
		"replicas":  cfg.Cluster.CoreReplicas,
		"resources": chart.Resources("50m", "256Mi", "1Gi"),
		"copyutil":  chart.Values{"resources": chart.Resources("10m", "32Mi", "128Mi")},
		"metrics":   scraped(),
		"env": []any{chart.Values{
			"name": "SSL_CERT_FILE", "value": directory + "/" + certificates.BundleKey,
		}},
		"volumes": []any{chart.Values{
			"name": "lab-ca", "configMap": chart.Values{"name": certificates.Bundle},
		}},
		"volumeMounts": []any{chart.Values{"name": "lab-ca", "mountPath": directory, "readOnly": true}},
	}
}

// caFor pins the lab's CA for the hosts of the lab that serve repositories.
func caFor(cfg *config.Config, ca pulumi.StringInput) chart.Values {
	pinned := chart.Values{}
	if cfg.TLS.Issuer == "internal" && cfg.Services.GitLab.On() {
		pinned[cfg.Services.GitLab.Host] = ca
	}
	return pinned
}
