package tenant

import (
	"encoding/base64"
	"fmt"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ClaimArgs describe a persistent volume claim.
type ClaimArgs struct {
	// Size is the storage requested (Kubernetes quantity). REQUIRED.
	Size string
	// Class is the StorageClass. REQUIRED.
	Class string
	// AccessMode. Default: ReadWriteOnce.
	AccessMode string
	// Protect refuses the deletion of the claim.
	Protect bool
}

// NewClaim declares a claim of this name in the tenant. It is not waited for: with local-path a volume is made for the
// first pod that mounts it.
//
// A change that would need another claim (its class or access mode) is refused: the new claim is asked for before the
// old one is deleted, and Kubernetes refuses two of one name.
func (t *Tenant) NewClaim(ctx *pulumi.Context, name string, args *ClaimArgs, opts ...pulumi.ResourceOption) (*corev1.PersistentVolumeClaim, error) {
	if args == nil || args.Size == "" || args.Class == "" {
		return nil, fmt.Errorf("claim %s of tenant %s: size and class are required", name, t.name)
	}
	mode := args.AccessMode
	if mode == "" {
		mode = "ReadWriteOnce"
	}
	explain, err := t.explainTaken(ctx, name)
	if err != nil {
		return nil, err
	}
	opts = append([]pulumi.ResourceOption{
		pulumi.Parent(t), pulumi.Protect(args.Protect), pulumi.DeleteBeforeReplace(false),
		pulumi.ResourceHooks(&pulumi.ResourceHookBinding{OnError: []*pulumi.ErrorHook{explain}}),
	}, opts...)
	return corev1.NewPersistentVolumeClaim(ctx, t.name+"-"+name+"-claim", &corev1.PersistentVolumeClaimArgs{
		Metadata: metav1.ObjectMetaArgs{
			Name: pulumi.String(name), Namespace: t.Name,
			Annotations: pulumi.StringMap{"pulumi.com/skipAwait": pulumi.String("true")},
		},
		Spec: corev1.PersistentVolumeClaimSpecArgs{
			AccessModes:      pulumi.StringArray{pulumi.String(mode)},
			StorageClassName: pulumi.String(args.Class),
			Resources: corev1.VolumeResourceRequirementsArgs{
				Requests: pulumi.StringMap{"storage": pulumi.String(args.Size)},
			},
		},
	}, opts...)
}

// explainTaken says why a claim could not be made because there is one of its name. The provider's own advice, to
// delete before replacing, would lose the data.
func (t *Tenant) explainTaken(ctx *pulumi.Context, name string) (*pulumi.ErrorHook, error) {
	claim := t.Namespace + "/" + name
	return ctx.RegisterErrorHook(t.name+"-"+name+"-explain-taken", func(args *pulumi.ErrorHookArgs) (bool, error) {
		if !taken(args.FailedOperation, args.Errors) {
			return false, nil
		}
		return false, ctx.Log.Error(fmt.Sprintf("claim %s exists and is kept, because it holds data. If its storage class or "+
			"access mode was changed, put the old value back: a claim can't change them. To move the data, make a claim "+
			"of another name and copy it there", claim), nil)
	})
}

func taken(operation string, failures []string) bool {
	return operation == "create" && len(failures) > 0 && strings.Contains(failures[0], "already exists")
}

// NewSecret declares an opaque Secret of this name in the tenant; every value is treated as secret.
func (t *Tenant) NewSecret(ctx *pulumi.Context, name string, data map[string]pulumi.StringInput, opts ...pulumi.ResourceOption) (*corev1.Secret, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("secret %s of tenant %s has no data", name, t.name)
	}
	opts = append([]pulumi.ResourceOption{pulumi.Parent(t)}, opts...)
	return corev1.NewSecret(ctx, t.name+"-"+name+"-secret", &corev1.SecretArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(name), Namespace: t.Name},
		Type:     pulumi.String("Opaque"),
		Data:     SecretData(data),
	}, opts...)
}

// SecretData is what the field data of a Secret holds: every value in base64, and secret. It is that field and not
// stringData, where a key that is no longer declared would stay.
func SecretData(data map[string]pulumi.StringInput) pulumi.StringMap {
	encoded := make(pulumi.StringMap, len(data))
	for key, value := range data {
		encoded[key] = pulumi.ToSecret(value.ToStringOutput().ApplyT(func(v string) string {
			return base64.StdEncoding.EncodeToString([]byte(v))
		})).(pulumi.StringOutput)
	}
	return encoded
}
