package gitops

import (
	"slices"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// inCluster is the API server that Argo CD itself runs under.
const inCluster = "https://kubernetes.default.svc"

// project is the content of an AppProject.
type project struct {
	name string
	spec map[string]any
}

// newProject declares an AppProject once Argo CD has brought the kind.
func newProject(
	ctx *pulumi.Context, name string, p project, space *tenant.Tenant, release pulumi.Resource,
	opts ...pulumi.ResourceOption,
) (pulumi.Resource, error) {
	return apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
		ApiVersion:  pulumi.String("argoproj.io/v1alpha1"),
		Kind:        pulumi.String("AppProject"),
		Metadata:    &metav1.ObjectMetaArgs{Name: pulumi.String(p.name), Namespace: space.Name},
		OtherFields: map[string]any{"spec": p.spec},
	}, append(opts, pulumi.DependsOn([]pulumi.Resource{release}))...)
}

// labProject allows the charts of the catalogue (or the mirror alone) in the lab's own namespaces.
//
// Charts bring cluster roles, their bindings and webhooks; nothing else outside of a namespace is allowed, so an
// Application can neither make a namespace nor own a CRD.
func labProject(delivery *chart.Delivery, namespaces []string) project {
	destinations := make([]any, 0, len(namespaces))
	for _, namespace := range sorted(namespaces) {
		destinations = append(destinations, map[string]any{"server": inCluster, "namespace": namespace})
	}
	return project{name: LabProject, spec: map[string]any{
		"description":  "The lab's own workloads, declared by Pulumi",
		"sourceRepos":  toAny(delivery.Repositories()),
		"destinations": destinations,
		"clusterResourceWhitelist": []any{
			map[string]any{"group": "rbac.authorization.k8s.io", "kind": "ClusterRole"},
			map[string]any{"group": "rbac.authorization.k8s.io", "kind": "ClusterRoleBinding"},
			map[string]any{"group": "admissionregistration.k8s.io", "kind": "ValidatingWebhookConfiguration"},
			map[string]any{"group": "admissionregistration.k8s.io", "kind": "MutatingWebhookConfiguration"},
		},
		"namespaceResourceBlacklist": guards(),
	}}
}

// userProject allows the user's repositories in the user's namespace, and nothing outside of it: no cluster role, and
// no policy that would open what the tenant keeps closed.
func userProject(cfg *config.Config) project {
	return project{name: UserProject, spec: map[string]any{
		"description":                "The user's own applications",
		"sourceRepos":                toAny(userSources(cfg)),
		"destinations":               []any{map[string]any{"server": inCluster, "namespace": UserNamespace}},
		"clusterResourceWhitelist":   []any{},
		"namespaceResourceBlacklist": guards(map[string]any{"group": "networking.k8s.io", "kind": "NetworkPolicy"}),
	}}
}

// userSources are the repositories that the stack names, and every project of the lab's own GitLab.
func userSources(cfg *config.Config) []string {
	repositories := slices.Clone(cfg.GitOps.Repositories)
	if cfg.Services.GitLab.On() {
		repositories = append(repositories, "https://"+cfg.Services.GitLab.Host+"/**")
	}
	return sorted(repositories)
}

// guards are the kinds that make a namespace a tenant: an Application that contains one is refused.
func guards(more ...any) []any {
	return append([]any{
		map[string]any{"group": "", "kind": "ResourceQuota"},
		map[string]any{"group": "", "kind": "LimitRange"},
	}, more...)
}

func sorted(values []string) []string {
	ordered := slices.Clone(values)
	slices.Sort(ordered)
	return ordered
}

func toAny(values []string) []any {
	list := make([]any, 0, len(values))
	for _, value := range values {
		list = append(list, value)
	}
	return list
}
