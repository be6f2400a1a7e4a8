package chart

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// KeepOnRemoval is the annotation, as chart values take it, with which Helm leaves an object in place when it
// removes the release. A later release of the same name takes the object over again.
func KeepOnRemoval() Values { return Values{"helm.sh/resource-policy": "keep"} }

// CRDsArgs describe a chart that holds custom resource definitions in its templates and nothing else.
type CRDsArgs struct {
	// Delivery of the stack. REQUIRED.
	Delivery *Delivery
	// Chart is its key in the catalogue. REQUIRED.
	Chart string
	// Namespace of the release; definitions have none themselves. REQUIRED.
	Namespace pulumi.StringInput
	// NamespaceName is the same as a plain string, for messages. Default: none.
	NamespaceName string
	// AnnotationsPath is where the chart's values take the annotations of its definitions (keys separated by dots).
	// REQUIRED. It is crds.annotations in prometheus-operator-crds.
	AnnotationsPath string
}

// NewCRDs declares custom resource definitions apart from the charts that use them. Helm upgrades what is in
// templates, unlike a chart's directory crds/, and the definitions stay when the release goes: with them would go
// every object that they define. It is always a Helm release.
func NewCRDs(ctx *pulumi.Context, name string, args *CRDsArgs, opts ...pulumi.ResourceOption) (*Chart, error) {
	values := Values{}
	for key, value := range KeepOnRemoval() {
		set(values, args.AnnotationsPath, key, value)
	}
	return New(ctx, name, &Args{
		Delivery: args.Delivery, Chart: args.Chart, Namespace: args.Namespace, NamespaceName: args.NamespaceName,
		Values: values,
	}, opts...)
}
