package chart

import (
	"errors"
	"reflect"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// releaseType is the type of a Helm release in the Kubernetes provider. The SDK's own package for it, helm/v3,
// brings half a million lines to compile; this resource is the same one.
const releaseType = "kubernetes:helm.sh/v3:Release"

// release is a Helm release, with the inputs of the provider's schema that the lab uses.
type release struct {
	pulumi.CustomResourceState

	// Status is what Helm says about the release.
	Status releaseStatusOutput `pulumi:"status"`
}

// releaseStatus is the part of the provider's status object that the lab reads.
type releaseStatus struct {
	// Status such as deployed.
	Status string `pulumi:"status"`
}

type releaseStatusOutput struct{ *pulumi.OutputState }

func (releaseStatusOutput) ElementType() reflect.Type { return reflect.TypeFor[releaseStatus]() }

func init() { pulumi.RegisterOutputType(releaseStatusOutput{}) }

type releaseInputs struct {
	Atomic          bool                    `pulumi:"atomic"`
	Chart           string                  `pulumi:"chart"`
	CleanupOnFail   bool                    `pulumi:"cleanupOnFail"`
	Compat          string                  `pulumi:"compat"`
	CreateNamespace bool                    `pulumi:"createNamespace"`
	MaxHistory      int                     `pulumi:"maxHistory"`
	Name            string                  `pulumi:"name"`
	Namespace       string                  `pulumi:"namespace"`
	RepositoryOpts  map[string]string       `pulumi:"repositoryOpts"`
	SkipCrds        bool                    `pulumi:"skipCrds"`
	Timeout         int                     `pulumi:"timeout"`
	ValueYamlFiles  []pulumi.AssetOrArchive `pulumi:"valueYamlFiles"`
	Values          map[string]any          `pulumi:"values"`
	Version         string                  `pulumi:"version"`
}

// releaseArgs are the inputs of a release.
type releaseArgs struct {
	// Atomic rolls a failed upgrade back and removes a failed installation, so that the next run finds a clean state.
	Atomic pulumi.BoolInput
	// Chart is its name in the repository, or its OCI address.
	Chart pulumi.StringInput
	// CleanupOnFail removes what a failed upgrade has added.
	CleanupOnFail pulumi.BoolInput
	// Compat is set by every SDK of the provider; it keeps the resource's behaviour at that of Helm 3.
	Compat pulumi.StringInput
	// CreateNamespace is off: namespaces are tenants.
	CreateNamespace pulumi.BoolInput
	// MaxHistory is the number of revisions that Helm keeps, as Secrets.
	MaxHistory pulumi.IntInput
	// Name of the release. Without it the provider draws one, and every name in the chart changes.
	Name pulumi.StringInput
	// Namespace of the release.
	Namespace pulumi.StringInput
	// RepositoryOpts holds the repository's URL as repo; nil with an OCI address.
	RepositoryOpts pulumi.StringMapInput
	// SkipCrds leaves out what the chart has in crds/.
	SkipCrds pulumi.BoolInput
	// Timeout in seconds for each Kubernetes operation.
	Timeout pulumi.IntInput
	// ValueYamlFiles are values below Values.
	ValueYamlFiles pulumi.AssetOrArchiveArrayInput
	// Values of the chart.
	Values pulumi.MapInput
	// Version of the chart.
	Version pulumi.StringInput
}

// ElementType implements pulumi.Input.
func (releaseArgs) ElementType() reflect.Type { return reflect.TypeFor[releaseInputs]() }

func newRelease(ctx *pulumi.Context, name string, args *releaseArgs, opts ...pulumi.ResourceOption) (*release, error) {
	if args == nil || args.Name == nil || args.Chart == nil {
		return nil, errors.New("a release needs a chart and a name")
	}
	args.Compat = pulumi.String("true")
	var made release
	return &made, ctx.RegisterResource(releaseType, name, args, &made, opts...)
}
