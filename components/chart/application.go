package chart

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"
)

const (
	// resourcesFinalizer makes Argo CD remove the workload before the Application goes.
	resourcesFinalizer = "resources-finalizer.argocd.argoproj.io"
	// specHashParameter is a Helm parameter that no chart reads. It stands below `global`, which every chart's schema
	// has to allow.
	specHashParameter = "global.labSpecHash"
)

// application deploys the chart as an Argo CD Application and waits until Argo CD has synced this very spec and
// reports it healthy. Right after a change the old status still says Synced and Healthy. Argo CD repeats the source
// that it compared with in the status, so a hash of the spec that is part of the source tells which spec is meant.
func (d *deployment) application(ctx *pulumi.Context, name string, parent pulumi.Resource) (pulumi.Resource, pulumi.StringOutput, error) {
	gitops := d.Delivery.GitOps
	values, err := inputs(ctx.Context(), d.Chart, d.values)
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	timeout := max(gitops.SyncTimeout, d.Timeout)
	spec := pulumi.All(values, d.Namespace).ApplyT(func(resolved []any) (map[string]any, error) {
		return d.applicationSpec(resolved[0].(map[string]any), resolved[1].(string))
	}).(pulumi.MapOutput)
	waitFor := spec.ApplyT(func(spec map[string]any) (string, error) { return waitFor(spec) }).(pulumi.StringOutput)

	explain, err := d.explainUnhealthy(ctx, name, timeout)
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	made, err := apiextensions.NewCustomResource(ctx, name+"-application", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("argoproj.io/v1alpha1"),
		Kind:       pulumi.String("Application"),
		Metadata: metav1.ObjectMetaArgs{
			Name: pulumi.String(d.release), Namespace: pulumi.String(gitops.Namespace),
			Finalizers: pulumi.StringArray{pulumi.String(resourcesFinalizer)},
			Annotations: pulumi.StringMap{
				"pulumi.com/waitFor":        waitFor,
				"pulumi.com/timeoutSeconds": pulumi.String(strconv.Itoa(int(timeout / time.Second))),
			},
		},
		OtherFields: map[string]any{"spec": spec},
	}, pulumi.Parent(parent), d.needs, pulumi.ResourceHooks(&pulumi.ResourceHookBinding{OnError: []*pulumi.ErrorHook{explain}}))
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	return made, made.ID().ApplyT(func(pulumi.ID) string { return "Healthy" }).(pulumi.StringOutput), nil
}

// applicationSpec renders the spec. Values are one text: it keeps nulls, and numbers as they are.
func (d *deployment) applicationSpec(values map[string]any, namespace string) (map[string]any, error) {
	text, err := yaml.Marshal(values)
	if err != nil {
		return nil, err
	}
	gitops := d.Delivery.GitOps
	helm := map[string]any{
		"releaseName": d.release,
		"values":      string(text),
		// CRDs are declared apart: an Application must not be able to delete one.
		"skipCrds": true,
		// Some charts' schemas refer to web pages; a sync must not depend on those.
		"skipSchemaValidation": true,
	}
	spec := map[string]any{
		"project":     gitops.Project,
		"destination": map[string]any{"server": gitops.Server, "namespace": namespace},
		"source": map[string]any{
			"repoURL": d.source.argoRepository(), "chart": d.source.name, "targetRevision": d.source.version,
			"helm": helm,
		},
		"syncPolicy": map[string]any{
			"automated":   map[string]any{"prune": true, "selfHeal": true},
			"syncOptions": []any{"CreateNamespace=false"},
			"retry": map[string]any{
				"limit":   5,
				"backoff": map[string]any{"duration": "5s", "factor": 2, "maxDuration": "3m"},
			},
		},
		"revisionHistoryLimit": revisionsToRetain,
	}
	hash, err := hashOf(spec)
	if err != nil {
		return nil, err
	}
	helm["parameters"] = []any{map[string]any{"name": specHashParameter, "value": hash, "forceString": true}}
	return spec, nil
}

func hashOf(spec map[string]any) (string, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// waitFor is the annotation that makes the provider wait for all of its conditions at the same time.
func waitFor(spec map[string]any) (string, error) {
	helm := spec["source"].(map[string]any)["helm"].(map[string]any)
	hash := helm["parameters"].([]any)[0].(map[string]any)["value"].(string)
	conditions, err := json.Marshal([]string{
		"jsonpath={.status.sync.comparedTo.source.helm.parameters[0].value}=" + hash,
		"jsonpath={.status.sync.status}=Synced",
		"jsonpath={.status.health.status}=Healthy",
	})
	return string(conditions), err
}
