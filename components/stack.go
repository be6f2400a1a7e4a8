// Package components deploys the lab. Deploy is the graph from top to bottom; each layer is a package below this one.
package components

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/certificates"
	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/gitops"
	"github.com/homelab-ai/homelab-ai/components/gpu"
	"github.com/homelab-ai/homelab-ai/components/k3s"
	"github.com/homelab-ai/homelab-ai/components/llm"
	"github.com/homelab-ai/homelab-ai/components/monitoring"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// Option changes what Deploy does beside declaring resources.
type Option func(*options)

type options struct{ probe k3s.ProbeFunc }

// WithProbe asks each host, before anything is declared, whether it still is as declared; k3s.SSHProbe does it for
// real. Default: no host is contacted.
func WithProbe(probe k3s.ProbeFunc) Option {
	return func(o *options) { o.probe = probe }
}

// Deploy declares the whole lab and exports what its user needs to reach it. Edges are dependencies; what has none
// between it runs side by side.
func Deploy(ctx *pulumi.Context, cfg *config.Config, opts ...Option) error {
	var settings options
	for _, opt := range opts {
		opt(&settings)
	}
	whole, err := newGuard(ctx)
	if err != nil {
		return err
	}
	if err := keepDelivery(ctx, cfg); err != nil {
		return err
	}
	if err := warnUndeployed(ctx, cfg); err != nil {
		return err
	}
	around, delivery := tenant.Around(cfg), chart.From(cfg)

	// Hosts and Kubernetes.
	cluster, err := k3s.New(ctx, "k3s", &k3s.Args{Config: cfg, Probe: settings.probe})
	if err != nil {
		return err
	}
	if err := deleteWithCluster(ctx, cluster); err != nil {
		return err
	}
	on := pulumi.Providers(cluster.Provider)
	delivery.Kubeconfig = cluster.Kubeconfig
	if delivery.ChecksumKey, err = chart.NewChecksumKey(ctx, "checksum-key"); err != nil {
		return err
	}

	// What the cluster brings: its own namespaces and storage.
	system, err := adopt(ctx, around, on)
	if err != nil {
		return err
	}
	if err := newStorage(ctx, cfg, on); err != nil {
		return err
	}

	// The way in: addresses, certificates, NGINX, names.
	balancer, err := network.NewLoadBalancer(ctx, "load-balancer", &network.LoadBalancerArgs{
		Config: cfg, Delivery: delivery, Surroundings: around,
	}, on)
	if err != nil {
		return err
	}
	entrance, err := network.NewIngressTenant(ctx, "ingress-tenant", cfg, around, on)
	if err != nil {
		return err
	}
	pki, err := certificates.New(ctx, "certificates", &certificates.Args{
		Config: cfg, Delivery: delivery, Surroundings: around,
		CACertificate: cluster.CACertificate, CAKey: cluster.CAKey, IngressTenant: entrance,
	}, on)
	if err != nil {
		return err
	}
	ingress, err := network.NewIngressController(ctx, "ingress", &network.IngressControllerArgs{
		Config: cfg, Delivery: delivery, Tenant: entrance, Certificate: pki.Wildcard, LoadBalancer: balancer,
	}, on)
	if err != nil {
		return err
	}
	if _, err := network.NewNames(ctx, "names", cfg, on); err != nil {
		return err
	}

	// What workload charts stand on: the kinds of Prometheus, and Argo CD.
	kinds, err := monitoring.NewKinds(ctx, "monitoring-kinds", delivery, system, on)
	if err != nil {
		return err
	}
	var needs []pulumi.Resource
	var argo *gitops.GitOps
	if cfg.GitOpsEnabled() {
		argo, err = gitops.New(ctx, "gitops", &gitops.Args{
			Config: cfg, Delivery: delivery, Surroundings: around, Ingress: ingress, Trust: pki.Trust, Kinds: kinds.Deployed,
			CACertificate: cluster.CACertificate, Namespaces: workloadNamespaces(),
		}, on)
		if err != nil {
			return err
		}
		needs = append(needs, argo.Project)
	}

	// Workloads.
	cards, err := gpu.New(ctx, "gpu", &gpu.Args{
		Config: cfg, Delivery: delivery, Surroundings: around, Needs: needs,
	}, on)
	if err != nil {
		return err
	}
	models := &llm.Args{
		Config: cfg, Delivery: delivery, Surroundings: around, Ingress: ingress, GPU: cards, Needs: needs,
	}
	ollama, err := llm.NewOllama(ctx, "ollama", models, on)
	if err != nil {
		return err
	}
	chat, err := llm.NewOpenWebUI(ctx, "open-webui", models, ollama, on)
	if err != nil {
		return err
	}

	if err := whole.close(ctx, cfg); err != nil {
		return err
	}
	return export(ctx, cfg, cluster, argo, chat)
}

// workloadNamespaces are where Argo CD may deploy the lab's own charts.
func workloadNamespaces() []string {
	return []string{gpu.Namespace, llm.OllamaNamespace, llm.OpenWebUINamespace}
}
