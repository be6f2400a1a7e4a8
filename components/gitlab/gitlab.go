package gitlab

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/k3s"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// Tenants of other packages that GitLab's flows name. Those packages sign in through this one and cannot be imported.
const (
	monitoringNamespace = "monitoring"
	ollamaNamespace     = "ollama"
	ollamaPort          = 11434
)

const (
	passwordLength = 32
	// firstBoot is how long the image's download and the first start may take together.
	firstBoot = 45 * time.Minute
)

// Host runs scripts on the first server; k3s.Cluster is one.
type Host interface {
	Run(ctx *pulumi.Context, name string, script *k3s.Script, opts ...pulumi.ResourceOption) (*remote.Command, error)
}

var _ Host = (*k3s.Cluster)(nil)

// Args are what GitLab needs.
type Args struct {
	// Config of the stack. REQUIRED.
	Config *config.Config
	// Delivery declares charts. REQUIRED.
	Delivery *chart.Delivery
	// Surroundings render the flows. REQUIRED.
	Surroundings *tenant.Surroundings
	// Ingress serves the web interface and the registry. REQUIRED while GitLab is on.
	Ingress *network.IngressController
	// Host runs the commands that seed GitLab. REQUIRED while GitLab is on.
	Host Host
	// CACertificate is the lab's CA (PEM), which runners trust. REQUIRED while GitLab is on.
	CACertificate pulumi.StringInput
	// Clients are registered in GitLab. Default: none.
	Clients *Clients
	// OllamaURL is where CI jobs reach Ollama. Default: none, and no model is evaluated.
	OllamaURL string
	// Needs are further resources that a workload chart cannot do without: Argo CD's project, and the bundle with the
	// lab's CA that jobs mount. Default: none.
	Needs []pulumi.Resource
}

// GitLab is the forge.
type GitLab struct {
	pulumi.ResourceState

	// URL of the web interface, and the OpenID issuer. Empty while GitLab is off.
	URL string
	// RegistryURL is the container registry's. Empty while GitLab is off.
	RegistryURL string
	// SSHHost is the name or address in clone addresses.
	SSHHost string
	// RootPassword is the password of the account root, a secret.
	RootPassword pulumi.StringOutput
	// Deployed is ready when GitLab answers, and Seeded when its projects and OAuth applications are there. Nil while
	// GitLab is off.
	Deployed pulumi.Resource
	Seeded   pulumi.Resource
}

// Namespaces are the tenants of a stack that this package deploys charts into.
func Namespaces(cfg *config.Config) []string {
	jobs := JobNamespaces(cfg)
	if len(jobs) == 0 {
		return []string{Namespace}
	}
	return append([]string{Namespace, RunnerNamespace}, jobs...)
}

// JobNamespaces are the tenants of a stack that CI jobs run in. What they use has to allow them in.
func JobNamespaces(cfg *config.Config) []string {
	var namespaces []string
	for _, c := range classes(cfg) {
		namespaces = append(namespaces, c.namespace)
	}
	return namespaces
}

// New declares GitLab's namespace, volume and secrets and, while it is on, its workload, its two ways in, what it is
// seeded with, and the runners.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*GitLab, error) {
	if args == nil || args.Config == nil || args.Delivery == nil || args.Surroundings == nil {
		return nil, errors.New("gitlab: config, delivery and surroundings are required")
	}
	g := &GitLab{}
	if err := ctx.RegisterComponentResource("homelab-ai:gitlab:GitLab", name, g, opts...); err != nil {
		return nil, err
	}
	settings := args.Config.Services.GitLab
	if !settings.On() && args.Config.Purged("gitlab") {
		return g, ctx.RegisterResourceOutputs(g, pulumi.Map{})
	}
	space, kept, err := g.newSpace(ctx, name, args)
	if err != nil {
		return nil, err
	}
	if settings.On() {
		if args.Ingress == nil || args.Host == nil || args.CACertificate == nil {
			return nil, errors.New("gitlab: ingress, host and CA certificate are required while it is on")
		}
		if err := g.newWorkload(ctx, name, args, space, kept); err != nil {
			return nil, err
		}
		if err := g.newRunners(ctx, name, args); err != nil {
			return nil, err
		}
		if err := g.newExample(ctx, name+"-example", args); err != nil {
			return nil, err
		}
	}
	return g, ctx.RegisterResourceOutputs(g, pulumi.Map{
		"url": pulumi.String(g.URL), "registryURL": pulumi.String(g.RegistryURL), "rootPassword": g.RootPassword,
	})
}

// newSpace declares what stays while GitLab is off: namespace, volume, and the password of root.
func (g *GitLab) newSpace(ctx *pulumi.Context, name string, args *Args) (*tenant.Tenant, []pulumi.Resource, error) {
	cfg, settings, child := args.Config, args.Config.Services.GitLab, pulumi.Parent(g)
	space, err := tenant.New(ctx, name+"-tenant", &tenant.Args{
		Surroundings: args.Surroundings,
		Namespace:    Namespace,
		Level:        tenant.Baseline, // Omnibus runs as root with the default capabilities
		Quota: tenant.Quota{
			CPU: tenant.Sum(settings.Resources.CPU, "1"), Memory: tenant.Sum(settings.Resources.Memory, "1Gi"),
			Pods: 3, Claims: 1, Storage: settings.Size,
		},
		Flows:   flows(cfg),
		Protect: cfg.Protected(),
	}, child)
	if err != nil {
		return nil, nil, err
	}
	claim, err := space.NewClaim(ctx, Claim, &tenant.ClaimArgs{
		Size: settings.Size, Class: cfg.ClassFor("gitlab"), Protect: cfg.Protected(),
	})
	if err != nil {
		return nil, nil, err
	}
	password, err := random.NewRandomPassword(ctx, name+"-root-password", &random.RandomPasswordArgs{
		Length: pulumi.Int(passwordLength), Special: pulumi.Bool(false),
	}, child, pulumi.Protect(cfg.Protected()))
	if err != nil {
		return nil, nil, err
	}
	g.RootPassword = pulumi.ToSecret(password.Result).(pulumi.StringOutput)

	omnibus, err := omnibusConfig(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("gitlab: %w", err)
	}
	secret, err := space.NewSecret(ctx, Secret, map[string]pulumi.StringInput{
		omnibusKey:      pulumi.String(omnibus),
		rootPasswordKey: password.Result,
	})
	return space, []pulumi.Resource{claim, secret}, err
}

// newWorkload declares the Omnibus pod, its ways in, and what it is seeded with.
func (g *GitLab) newWorkload(
	ctx *pulumi.Context, name string, args *Args, space *tenant.Tenant, kept []pulumi.Resource,
) error {
	cfg, settings, child := args.Config, args.Config.Services.GitLab, pulumi.Parent(g)
	omnibus, err := omnibusConfig(cfg)
	if err != nil {
		return err
	}
	configSum := sha256.Sum256([]byte(omnibus))
	server, err := chart.New(ctx, name+"-chart", &chart.Args{
		Delivery:      args.Delivery,
		Chart:         "app-template",
		Release:       Namespace,
		Namespace:     space.Name,
		NamespaceName: Namespace,
		Values:        serverValues(cfg, hex.EncodeToString(configSum[:8])),
		Workload:      true,
		Timeout:       firstBoot,
	}, child, pulumi.DependsOn(append(kept, args.Needs...)))
	if err != nil {
		return err
	}
	g.Deployed = server.Deployed
	for _, way := range []struct {
		name, host string
		port       int
	}{{"web", settings.Host, httpPort}, {"registry", settings.RegistryHost, registryPort}} {
		_, err := network.NewIngress(ctx, name+"-"+way.name, &network.IngressArgs{
			Namespace:  space.Name,
			Host:       way.host,
			Service:    Namespace,
			Port:       way.port,
			Websockets: way.port == httpPort,
			Streaming:  true, // clones, pulls and job logs are passed on as they come
			BodySize:   "0",  // pushes and layers of any size
		}, child, pulumi.DependsOn([]pulumi.Resource{g.Deployed, args.Ingress.Deployed}))
		if err != nil {
			return err
		}
	}
	g.Seeded, err = g.newSeed(ctx, name+"-seed", args, child, pulumi.DependsOn([]pulumi.Resource{g.Deployed}))
	if err != nil {
		return err
	}
	g.URL, g.RegistryURL, g.SSHHost = "https://"+settings.Host, "https://"+settings.RegistryHost, sshHost(cfg)
	return nil
}

// flows: the web and the registry come through the ingress, SSH from the networks that may use the lab, and GitLab
// itself fetches imports and mirrors from the internet and calls webhooks of the lab.
func flows(cfg *config.Config) []tenant.Flow {
	const ssh, https = 22, 443
	flows := []tenant.Flow{
		tenant.FromIngress(tenant.TCP(httpPort), tenant.TCP(registryPort)).For(pods),
		tenant.FromLAN(cfg.Network.AllowedSources, tenant.TCP(sshPort)).For(pods),
		tenant.ToIngress().For(pods),
		tenant.External(tenant.TCP(ssh), tenant.TCP(https)).For(pods),
	}
	if cfg.Services.Monitoring.On() {
		flows = append(flows, tenant.From(monitoringNamespace, nil,
			tenant.TCP(pumaMetricsPort), tenant.TCP(sidekiqMetricsPort)).For(pods))
	}
	return flows
}
