package tenant

import (
	"errors"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Level is a level of the Pod Security Standards.
type Level string

// The levels, from the tightest to none.
const (
	Restricted Level = "restricted"
	Baseline   Level = "baseline"
	Privileged Level = "privileged"
	// Unenforced records and warns but refuses nothing. It is for kube-system, which a cluster has to be able to
	// repair by itself.
	Unenforced Level = "unenforced"
)

// Label marks every namespace of the lab, for selectors such as the trust bundle's; its value is LabelValue.
const (
	Label      = "homelab-ai/tenant"
	LabelValue = "true"
)

// Args describe a tenant.
type Args struct {
	// Surroundings that the flows are rendered from. REQUIRED.
	Surroundings *Surroundings
	// Namespace is the name in Kubernetes. REQUIRED.
	Namespace string
	// Level of Pod Security. REQUIRED.
	Level Level
	// Quota is what all pods and claims together may request. Default: see Quota.
	Quota Quota
	// LimitRange is what a container gets that names nothing itself. Default: see LimitRange.
	LimitRange LimitRange
	// Flows that are allowed beside DNS. Default: none.
	Flows []Flow
	// Labels are added to the namespace. Default: none.
	Labels map[string]string
	// Protect refuses the deletion of the namespace.
	Protect bool
}

// Tenant is a namespace with its guards.
type Tenant struct {
	pulumi.ResourceState

	// Name of the namespace. It is known once the namespace and all its guards exist, so that nothing can start in
	// there before.
	Name pulumi.StringOutput `pulumi:"name"`
	// Namespace is the same name, for places that need a plain string.
	Namespace string

	name string
}

// New makes a namespace with its guards.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Tenant, error) {
	t, err := register(ctx, "homelab-ai:tenant:Tenant", name, args, opts...)
	if err != nil {
		return nil, err
	}
	namespace, err := corev1.NewNamespace(ctx, name+"-namespace", &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(args.Namespace), Labels: args.labels()},
	}, pulumi.Parent(t), pulumi.Protect(args.Protect))
	if err != nil {
		return nil, err
	}
	return t, t.guard(ctx, args, namespace.Metadata.Name().Elem())
}

// Adopt gives a namespace that exists already (default, kube-system) the guards of a tenant. What it patches falls
// back to Kubernetes' defaults when it is removed; the namespace stays.
func Adopt(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Tenant, error) {
	t, err := register(ctx, "homelab-ai:tenant:Adopted", name, args, opts...)
	if err != nil {
		return nil, err
	}
	namespace, err := corev1.NewNamespacePatch(ctx, name+"-namespace", &corev1.NamespacePatchArgs{
		Metadata: metav1.ObjectMetaPatchArgs{Name: pulumi.String(args.Namespace), Labels: args.labels()},
	}, pulumi.Parent(t))
	if err != nil {
		return nil, err
	}
	return t, t.guard(ctx, args, namespace.Metadata.Name().Elem())
}

func register(ctx *pulumi.Context, token, name string, args *Args, opts ...pulumi.ResourceOption) (*Tenant, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("tenant %s: %w", name, err)
	}
	t := &Tenant{Namespace: args.Namespace, name: name}
	return t, ctx.RegisterComponentResource(token, name, t, opts...)
}

func (args *Args) check() error {
	switch {
	case args == nil || args.Namespace == "":
		return errors.New("a namespace is required")
	case args.Surroundings == nil:
		return errors.New("the surroundings are required: use tenant.Around")
	}
	switch args.Level {
	case Restricted, Baseline, Privileged, Unenforced:
		return nil
	}
	return fmt.Errorf("%q is no Pod Security level: use tenant.Restricted, Baseline or Privileged", args.Level)
}

// labels are the namespace's. The audit log always records what the tightest level would refuse; warnings go only as
// far as the enforced level, because a client can do nothing about the rest.
func (args *Args) labels() pulumi.StringMap {
	const prefix = "pod-security.kubernetes.io/"
	levels := map[string]string{"enforce": string(args.Level), "audit": string(Restricted), "warn": string(args.Level)}
	if args.Level == Unenforced {
		levels = map[string]string{"audit": string(Baseline), "warn": string(Privileged)}
	}
	all := pulumi.StringMap{Label: pulumi.String(LabelValue)}
	for key, value := range args.Labels {
		all[key] = pulumi.String(value)
	}
	for mode, level := range levels {
		all[prefix+mode] = pulumi.String(level)
		all[prefix+mode+"-version"] = pulumi.String("latest")
	}
	return all
}

// guard puts everything into the namespace that makes it a tenant.
func (t *Tenant) guard(ctx *pulumi.Context, args *Args, namespace pulumi.StringOutput) error {
	meta := func(name string) metav1.ObjectMetaArgs {
		return metav1.ObjectMetaArgs{Name: pulumi.String(name), Namespace: namespace}
	}
	inside := pulumi.Parent(t)
	var guards []pulumi.Resource

	for _, p := range policies(args.Flows, args.Surroundings) {
		made, err := networkingv1.NewNetworkPolicy(ctx, t.name+"-"+p.name, &networkingv1.NetworkPolicyArgs{
			Metadata: meta(p.name), Spec: p.spec,
		}, inside)
		if err != nil {
			return err
		}
		guards = append(guards, made)
	}

	limits, err := corev1.NewLimitRange(ctx, t.name+"-limits", &corev1.LimitRangeArgs{
		Metadata: meta("limits"), Spec: args.LimitRange.spec(),
	}, inside)
	if err != nil {
		return err
	}
	// A quota refuses pods that name no requests; from its first moment on the limit range has to name them.
	quota, err := corev1.NewResourceQuota(ctx, t.name+"-quota", &corev1.ResourceQuotaArgs{
		Metadata: meta("quota"), Spec: args.Quota.spec(),
	}, inside, pulumi.DependsOn([]pulumi.Resource{limits}))
	if err != nil {
		return err
	}
	// A controller makes this account some time after the namespace. A patch is a server-side apply, which makes the
	// account when it comes first and merges when it comes second.
	account, err := corev1.NewServiceAccountPatch(ctx, t.name+"-default-account", &corev1.ServiceAccountPatchArgs{
		Metadata:                     metav1.ObjectMetaPatchArgs{Name: pulumi.String("default"), Namespace: namespace},
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, inside)
	if err != nil {
		return err
	}
	guards = append(guards, limits, quota, account)

	// The guards are dependencies of the name and no part of its value: a preview that adds one must still know the
	// name, or everything in the namespace would show as replaced.
	t.Name = pulumi.OutputWithDependencies(ctx.Context(), namespace, guards...).(pulumi.StringOutput)
	return ctx.RegisterResourceOutputs(t, pulumi.Map{"name": t.Name})
}
