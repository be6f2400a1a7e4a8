// Package monitoring watches the lab. The kinds of the Prometheus operator come first and apart from the operator, so
// that any chart can say how it is monitored.
package monitoring

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/tenant"
)

// Namespace of Prometheus and Grafana.
const Namespace = "monitoring"

// NewKinds installs the CRDs of the Prometheus operator from a chart of their own, because Helm never upgrades the ones
// that a chart has beside its templates. Removing the release keeps them, and with them every object of their kind.
// The release itself is recorded in the namespace that is given.
func NewKinds(
	ctx *pulumi.Context, name string, delivery *chart.Delivery, space *tenant.Tenant, opts ...pulumi.ResourceOption,
) (*chart.Chart, error) {
	return chart.NewCRDs(ctx, name, &chart.CRDsArgs{
		Delivery:        delivery,
		Chart:           "prometheus-operator-crds",
		Namespace:       space.Name,
		NamespaceName:   space.Namespace,
		AnnotationsPath: "crds.annotations",
	}, opts...)
}
