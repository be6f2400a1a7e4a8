package chart

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"
)

// Args describe one deployment of a chart.
type Args struct {
	// Delivery of the stack. REQUIRED.
	Delivery *Delivery
	// Chart is its key in the catalogue. REQUIRED.
	Chart string
	// Release names the Helm release or the Application; it is part of the names of most objects. Default: Chart.
	Release string
	// Namespace that the chart is deployed into; pass tenant.Tenant.Name, which is known when the guards are in place.
	// REQUIRED.
	Namespace pulumi.StringInput
	// NamespaceName is the same as a plain string, for messages. Default: none.
	NamespaceName string
	// Values of the chart; the stack's own are merged over them.
	Values Values
	// Workload tells that the chart is not part of the core: it is an Application where the stack has GitOps.
	Workload bool
	// Timeout of each operation of a Helm release. Default: 10m. Applications have GitOps.SyncTimeout, unless this
	// is longer.
	Timeout time.Duration
	// SecretChecksums makes pods roll when a secret changes: from the path of a map of pod annotations in the values
	// (keys separated by dots) to a checksum; see Checksum.
	SecretChecksums map[string]pulumi.StringInput
	// SkipCRDs leaves out what the chart has in its directory crds/, which Helm would install but never upgrade. An
	// Application always leaves it out. CRDs in a chart's templates are upgraded with it; charts with such CRDs get
	// the value that keeps them on removal, where they have one.
	SkipCRDs bool
}

// secretChecksumAnnotation carries the checksum on pods.
const secretChecksumAnnotation = "checksum/secrets"

// Chart is a deployed chart.
type Chart struct {
	pulumi.ResourceState

	// Status is known once the chart is deployed and ready: deployed for a release, Healthy for an Application.
	Status pulumi.StringOutput `pulumi:"status"`
	// Deployed is the release or Application itself. Depend on this and not on the component: the SDK registers a
	// component's children in the background, and a dependency on the component misses those it does not know yet.
	Deployed pulumi.Resource
	// Release is the name of the Helm release or Application.
	Release string
	// Version of the chart.
	Version string
}

// New deploys a chart.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Chart, error) {
	d, err := args.prepare()
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", name, err)
	}
	// What the component depends on, its child has to depend on as well: Pulumi does not hand it down.
	options, err := pulumi.NewResourceOptions(opts...)
	if err != nil {
		return nil, err
	}
	d.needs = pulumi.DependsOn(options.DependsOn)
	c := &Chart{Release: d.release, Version: d.source.version}
	if err := ctx.RegisterComponentResource("homelab-ai:chart:Chart", name, c, opts...); err != nil {
		return nil, err
	}
	if args.Workload && args.Delivery.GitOps != nil {
		c.Deployed, c.Status, err = d.application(ctx, name, c)
	} else {
		c.Deployed, c.Status, err = d.helmRelease(ctx, name, c)
	}
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", name, err)
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{"status": c.Status})
}

// deployment is Args with everything looked up.
type deployment struct {
	*Args
	source  source
	release string
	values  Values
	timeout time.Duration
	// needs are the dependencies given to New.
	needs pulumi.ResourceOption
}

func (args *Args) prepare() (*deployment, error) {
	if args == nil || args.Delivery == nil || args.Namespace == nil {
		return nil, fmt.Errorf("delivery and namespace are required")
	}
	from, err := args.Delivery.source(args.Chart)
	if err != nil {
		return nil, err
	}
	d := &deployment{Args: args, source: from, release: args.Release, timeout: args.Timeout}
	if d.release == "" {
		d.release = args.Chart
	}
	if d.timeout == 0 {
		d.timeout = defaultTimeout
	}
	d.values = merge(args.Values, args.Delivery.Values[args.Chart])
	for path, checksum := range args.SecretChecksums {
		set(d.values, path, secretChecksumAnnotation, checksum)
	}
	return d, nil
}

// place is the namespace and release as messages show them.
func (d *deployment) place() string {
	if d.NamespaceName == "" {
		return d.release
	}
	return d.NamespaceName + "/" + d.release
}

func (d *deployment) helmRelease(ctx *pulumi.Context, name string, parent pulumi.Resource) (pulumi.Resource, pulumi.StringOutput, error) {
	values, err := inputs(ctx.Context(), d.Chart, d.values)
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	args := &releaseArgs{
		Atomic: pulumi.Bool(true), CleanupOnFail: pulumi.Bool(true), MaxHistory: pulumi.Int(revisionsToRetain),
		Name: pulumi.String(d.release), Namespace: d.Namespace, CreateNamespace: pulumi.Bool(false),
		Chart: pulumi.String(d.source.name), Version: pulumi.String(d.source.version),
		Timeout: pulumi.Int(int(d.timeout.Seconds())), SkipCrds: pulumi.Bool(d.SkipCRDs), Values: values,
	}
	if d.source.oci() {
		args.Chart = pulumi.String(d.source.repository + "/" + d.source.name)
	} else {
		args.RepositoryOpts = pulumi.StringMap{"repo": pulumi.String(d.source.repository)}
	}
	if only, any := nulls(d.values); any {
		text, err := yaml.Marshal(only)
		if err != nil {
			return nil, pulumi.StringOutput{}, err
		}
		args.ValueYamlFiles = pulumi.AssetOrArchiveArray{pulumi.NewStringAsset(string(text))}
	}
	explain, err := d.explainPending(ctx, name)
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	made, err := newRelease(ctx, name+"-release", args, pulumi.Parent(parent), d.needs,
		pulumi.ResourceHooks(&pulumi.ResourceHookBinding{OnError: []*pulumi.ErrorHook{explain}}))
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	return made, made.Status.ApplyT(func(s releaseStatus) string { return s.Status }).(pulumi.StringOutput), nil
}
