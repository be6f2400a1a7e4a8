package k3s

import (
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/config"
)

// Args of a cluster.
type Args struct {
	// Config of the stack, with its defaults. REQUIRED.
	Config *config.Config
	// Probe asks a host, in each preview and update, whether it is still as declared. SSHProbe does it for real.
	// Default: none, so that the program itself contacts no host; then no drift is seen, and a private key that is not
	// on this machine is not missed.
	Probe ProbeFunc
}

// Cluster is a K3s cluster on hosts of the lab.
type Cluster struct {
	pulumi.ResourceState

	// Kubeconfig of the cluster's administrator (YAML, secret). Its client certificate lasts 365 days.
	Kubeconfig pulumi.StringOutput `pulumi:"kubeconfig"`
	// CACertificate of the lab (PEM). Every node trusts it.
	CACertificate pulumi.StringOutput `pulumi:"caCertificate"`
	// CAKey is the key of that certificate (PEM, secret), for the cluster's issuer.
	CAKey pulumi.StringOutput
	// Provider talks to the cluster. It keeps its identity when the kubeconfig changes.
	Provider *kubernetes.Provider
	// Installation is the first server's installation, which everything in the cluster goes down with.
	Installation pulumi.Resource

	// first is where Run runs scripts.
	first *host
}

// New declares the steps that turn the config's nodes into a cluster; see the package's documentation for their order.
// It fails before anything is declared when a key can't be read, or when a host that is probed proves to be another one
// than declared.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Cluster, error) {
	cluster := &Cluster{}
	if err := ctx.RegisterComponentResource("homelab-ai:k3s:Cluster", name, cluster, opts...); err != nil {
		return nil, err
	}
	cfg := args.Config
	hosts, err := newHosts(cfg, args.Probe != nil)
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 || hosts[0].node.Role != "server" {
		return nil, errors.New("cluster.nodes: there is no server; give one node the role server")
	}
	if cfg.Cluster.SSH.InsecureIgnoreHostKeys {
		warn(ctx, cluster, "cluster.ssh.insecureIgnoreHostKeys is on: whoever answers at a node's address gets root and every secret of the lab")
	}
	if err := probe(ctx, cluster, hosts, args.Probe); err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, name: name, parent: cluster, protect: cfg.Protected()}
	cluster.first = hosts[0]
	return cluster, b.build(cfg, hosts, cluster)
}

// builder registers the commands of one cluster.
type builder struct {
	ctx     *pulumi.Context
	name    string
	parent  pulumi.Resource
	protect bool
}

func (b *builder) build(cfg *config.Config, hosts []*host, cluster *Cluster) error {
	// Nothing is changed anywhere before every host was found fit.
	var fit []pulumi.Resource
	for _, h := range hosts {
		command, err := b.command("preflight-"+h.node.Name, h, preflightStep(cfg, hosts, h), nil)
		if err != nil {
			return err
		}
		fit = append(fit, command)
	}

	first := hosts[0]
	ca, err := b.command("ca", first, caStep(cfg), fit, pulumi.Protect(b.protect))
	if err != nil {
		return err
	}
	cluster.CACertificate = pulumi.Unsecret(pemBlock(ca.Stdout, "CERTIFICATE")).(pulumi.StringOutput)
	cluster.CAKey = pulumi.ToSecret(pemBlock(ca.Stdout, "PRIVATE KEY")).(pulumi.StringOutput)

	for _, h := range hosts {
		step := prepareStep(cfg, h)
		step.later = map[string]pulumi.StringInput{"CA_CERTIFICATE": cluster.CACertificate}
		if h.prepared, err = b.command("prepare-"+h.node.Name, h, step, nil); err != nil {
			return err
		}
	}

	complete, err := b.install(cfg, hosts, cluster)
	if err != nil {
		return err
	}
	kubeconfig, err := b.command("kubeconfig", first, kubeconfigStep(cfg), complete)
	if err != nil {
		return err
	}
	cluster.Kubeconfig = pulumi.ToSecret(kubeconfig.Stdout).(pulumi.StringOutput)
	cluster.Provider, err = kubernetes.NewProvider(b.ctx, b.name, &kubernetes.ProviderArgs{
		Kubeconfig: cluster.Kubeconfig,
		// The cluster's identity: without it a kubeconfig that is not known yet replaces every object.
		ClusterIdentifier:      pulumi.String(fmt.Sprintf("%s-%d", cfg.Stack, cfg.Cluster.Generation)),
		EnableSecretMutable:    pulumi.Bool(true),
		EnableConfigMapMutable: pulumi.Bool(true),
	}, pulumi.Parent(b.parent))
	if err != nil {
		return err
	}
	return b.ctx.RegisterResourceOutputs(cluster, pulumi.Map{
		"kubeconfig": cluster.Kubeconfig, "caCertificate": cluster.CACertificate,
	})
}

// install declares the servers one after another and then the agents side by side. It returns what has to be done for
// the cluster to be complete.
func (b *builder) install(cfg *config.Config, hosts []*host, cluster *Cluster) ([]pulumi.Resource, error) {
	first := hosts[0]
	var token pulumi.StringInput = pulumi.String("")
	var last pulumi.Resource
	var complete []pulumi.Resource
	for i, h := range hosts {
		step := installStep(cfg, hosts, h)
		step.later = map[string]pulumi.StringInput{"JOIN_TOKEN": token}
		if i == 0 {
			step.later["JOIN_TOKEN"] = pulumi.String("")
		}
		needs := []pulumi.Resource{h.prepared}
		if last != nil {
			needs = append(needs, last)
		}
		if h.node.Role == "agent" {
			drained, err := b.command("drain-"+h.node.Name, first, drainStep(cfg, h), []pulumi.Resource{last})
			if err != nil {
				return nil, err
			}
			needs = []pulumi.Resource{h.prepared, drained}
		}
		installed, err := b.command("install-"+h.node.Name, h, step, needs, pulumi.Protect(b.protect))
		if err != nil {
			return nil, err
		}
		switch {
		case i == 0:
			cluster.Installation, last = installed, installed
			if len(hosts) > 1 {
				reader, err := b.command("token", first, tokenStep(cfg), []pulumi.Resource{installed})
				if err != nil {
					return nil, err
				}
				token = pulumi.ToSecret(reader.Stdout).(pulumi.StringOutput)
			}
		case h.node.Role == "server":
			last = installed
		default:
			ready, err := b.command("ready-"+h.node.Name, first, readyStep(cfg, h), []pulumi.Resource{installed})
			if err != nil {
				return nil, err
			}
			complete = append(complete, ready)
		}
	}
	return append(complete, last), nil
}

// command registers one step on one host.
func (b *builder) command(
	name string, h *host, s *step, needs []pulumi.Resource, opts ...pulumi.ResourceOption,
) (*remote.Command, error) {
	return b.named(b.name+"-"+name, h, s, needs, opts...)
}

// named is command under the resource's full name.
func (b *builder) named(
	name string, h *host, s *step, needs []pulumi.Resource, opts ...pulumi.ResourceOption,
) (*remote.Command, error) {
	args := &remote.CommandArgs{
		Connection: h.access.connection(),
		Create:     pulumi.String(s.create(h.access.User)),
		Stdin:      s.stdin(),
		Logging:    remote.LoggingNone,
		// It would need the host's sshd to accept environment variables.
		AddPreviousOutputInEnv: pulumi.Bool(false),
	}
	if s.watched {
		revision, known := h.revision(s)
		args.Update = pulumi.String(s.update(h.access.User, revision))
		if !known {
			// A host that does not answer has not drifted; what it ran last stays what it should run.
			opts = append(opts, pulumi.IgnoreChanges([]string{"update"}))
		}
	}
	if s.remove != "" {
		args.Delete = pulumi.String(s.delete(h.access.User))
	}
	limit := (s.limit + lockWait + 10*time.Minute).String()
	opts = append([]pulumi.ResourceOption{pulumi.Parent(b.parent)}, opts...)
	opts = append(opts,
		pulumi.DependsOn(needs),
		pulumi.AdditionalSecretOutputs([]string{"stdout", "stderr"}),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: limit, Update: limit, Delete: limit}),
	)
	return remote.NewCommand(b.ctx, name, args, opts...)
}

// pemBlock picks the blocks of a kind out of a command's output. The host's script fails rather than print none; only
// a simulated host prints nothing.
func pemBlock(output pulumi.StringOutput, kind string) pulumi.StringOutput {
	return output.ApplyT(func(text string) (string, error) {
		var found strings.Builder
		rest := []byte(text)
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type == kind {
				found.Write(pem.EncodeToMemory(block))
			}
		}
		if text != "" && found.Len() == 0 {
			return "", fmt.Errorf("the lab's CA: the first server printed no %s", strings.ToLower(kind))
		}
		return found.String(), nil
	}).(pulumi.StringOutput)
}

func warn(ctx *pulumi.Context, resource pulumi.Resource, format string, args ...any) {
	// A message that can't be shown must not fail an update.
	_ = ctx.Log.Warn(fmt.Sprintf(format, args...), &pulumi.LogArgs{Resource: resource})
}

// newHosts pairs every node with the way to it, servers first, each in the config's order.
func newHosts(cfg *config.Config, needKey bool) ([]*host, error) {
	var hosts []*host
	for _, node := range append(cfg.Servers(), cfg.Agents()...) {
		access, err := newAccess(&cfg.Cluster.SSH, &node, needKey)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, &host{node: node, access: access})
	}
	return hosts, nil
}
