package components

import (
	"strings"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	storagev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/storage/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/k3s"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// localPath is the provisioner that K3s brings, and labRetain the class of it that the lab makes.
const (
	localPath = "rancher.io/local-path"
	labRetain = "lab-retain"
)

// deleteWithCluster lets every Kubernetes object go down with the cluster: a destroy uninstalls K3s and does not delete
// objects one by one through an API server that is about to go.
func deleteWithCluster(ctx *pulumi.Context, cluster *k3s.Cluster) error {
	return ctx.RegisterStackTransformation(
		func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if !strings.HasPrefix(args.Type, "kubernetes:") {
				return nil
			}
			return &pulumi.ResourceTransformationResult{
				Props: args.Props,
				Opts:  append(args.Opts, pulumi.DeletedWith(cluster.Installation)),
			}
		})
}

// adopt gives the namespaces that every cluster has the guards of a tenant. Nothing runs in default; kube-system holds
// what K3s brings, some of it with access to the host.
func adopt(
	ctx *pulumi.Context, around *tenant.Surroundings, opts ...pulumi.ResourceOption,
) (system *tenant.Tenant, err error) {
	_, err = tenant.Adopt(ctx, "default", &tenant.Args{
		Surroundings: around, Namespace: "default", Level: tenant.Restricted,
	}, opts...)
	if err != nil {
		return nil, err
	}
	return tenant.Adopt(ctx, "kube-system", &tenant.Args{
		Surroundings: around, Namespace: "kube-system", Level: tenant.Unenforced,
		Flows: tenant.SystemFlows(),
	}, opts...)
}

// newStorage declares the class for volumes that controllers make by themselves: what their claims leave behind is
// kept. A class that the stack names instead must be there already. The class of all other volumes is K3s's own, or one
// that the stack names.
func newStorage(ctx *pulumi.Context, cfg *config.Config, opts ...pulumi.ResourceOption) error {
	if cfg.Storage.RetainClass != labRetain {
		return nil
	}
	_, err := storagev1.NewStorageClass(ctx, labRetain, &storagev1.StorageClassArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name: pulumi.String(labRetain),
			// Local volumes, unlike hostPath ones, can be backed up from the file system.
			Annotations: pulumi.StringMap{"defaultVolumeType": pulumi.String("local")},
		},
		Provisioner:       pulumi.String(localPath),
		ReclaimPolicy:     pulumi.String("Retain"),
		VolumeBindingMode: pulumi.String("WaitForFirstConsumer"),
	}, opts...)
	return err
}
