package llm

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	batchv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/batch/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

// pullScript pulls the models that are its arguments. It runs in Ollama's own image.
//
//go:embed models.sh
var pullScript string

// unprivileged is a user that owns nothing in the image.
const unprivileged = 65534

// newModels declares the Job that pulls the models. Its name carries a hash of all that it is made of, so a changed
// list is a new Job, and the same list is not pulled again. Pulumi does not wait for it: models are tens of gigabytes.
func newModels(
	ctx *pulumi.Context, name string, cfg *config.Config, space *tenant.Tenant, opts ...pulumi.ResourceOption,
) (*batchv1.Job, error) {
	settings := cfg.Services.Ollama
	timeout, err := time.ParseDuration(settings.PullTimeout)
	if err != nil {
		return nil, fmt.Errorf("services.ollama.pullTimeout: %w", err)
	}
	arguments := make([]string, 0, len(settings.Models))
	for _, model := range settings.Models {
		arguments = append(arguments, model.Name)
	}
	image := cfg.Versions.Images["ollama"].Reference()
	remove := strconv.FormatBool(settings.RemoveUndeclared)

	labels := pulumi.ToStringMap(pullerPods)
	return batchv1.NewJob(ctx, name, &batchv1.JobArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name:        pulumi.String("models-" + digest(image, pullScript, remove, timeout.String(), arguments)),
			Namespace:   space.Name,
			Labels:      labels,
			Annotations: pulumi.StringMap{"pulumi.com/skipAwait": pulumi.String("true")},
		},
		Spec: &batchv1.JobSpecArgs{
			BackoffLimit:          pulumi.Int(6),
			ActiveDeadlineSeconds: pulumi.Int(int(timeout.Seconds())),
			Template: &corev1.PodTemplateSpecArgs{
				Metadata: &metav1.ObjectMetaArgs{Labels: labels},
				Spec: &corev1.PodSpecArgs{
					RestartPolicy:                pulumi.String("OnFailure"),
					AutomountServiceAccountToken: pulumi.Bool(false),
					EnableServiceLinks:           pulumi.Bool(false),
					SecurityContext: &corev1.PodSecurityContextArgs{
						RunAsNonRoot:   pulumi.Bool(true),
						RunAsUser:      pulumi.Int(unprivileged),
						RunAsGroup:     pulumi.Int(unprivileged),
						SeccompProfile: &corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
					},
					Containers: corev1.ContainerArray{&corev1.ContainerArgs{
						Name:    pulumi.String("pull"),
						Image:   pulumi.String(image),
						Command: pulumi.ToStringArray([]string{"/bin/sh", "-c", pullScript, "models"}),
						Args:    pulumi.ToStringArray(arguments),
						Env: corev1.EnvVarArray{
							&corev1.EnvVarArgs{Name: pulumi.String("OLLAMA_HOST"), Value: pulumi.String(OllamaURL)},
							&corev1.EnvVarArgs{Name: pulumi.String("HOME"), Value: pulumi.String("/tmp")},
							&corev1.EnvVarArgs{Name: pulumi.String("REMOVE_UNDECLARED"), Value: pulumi.String(remove)},
						},
						Resources: &corev1.ResourceRequirementsArgs{
							Requests: pulumi.StringMap{"cpu": pulumi.String("10m"), "memory": pulumi.String("64Mi")},
							Limits:   pulumi.StringMap{"memory": pulumi.String("256Mi")},
						},
						SecurityContext: &corev1.SecurityContextArgs{
							AllowPrivilegeEscalation: pulumi.Bool(false),
							ReadOnlyRootFilesystem:   pulumi.Bool(true),
							Capabilities:             &corev1.CapabilitiesArgs{Drop: pulumi.ToStringArray([]string{"ALL"})},
						},
						VolumeMounts: corev1.VolumeMountArray{&corev1.VolumeMountArgs{
							Name: pulumi.String("tmp"), MountPath: pulumi.String("/tmp"),
						}},
					}},
					Volumes: corev1.VolumeArray{&corev1.VolumeArgs{
						Name: pulumi.String("tmp"), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{},
					}},
				},
			},
		},
	}, opts...)
}

// digest is a short name for a content.
func digest(parts ...any) string {
	text, err := json.Marshal(parts)
	if err != nil {
		panic(err) // strings and lists of strings always marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:10]
}
