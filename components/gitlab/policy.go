package gitlab

import (
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	admissionVersion = "admissionregistration.k8s.io/v1"
	// unprivileged names the policy and its binding.
	unprivileged = "gitlab-build-unprivileged"
)

// newUnprivileged keeps the pods of a namespace at the baseline of Pod Security, but for unconfined seccomp and
// AppArmor profiles: rootless BuildKit needs those two, and no level of Pod Security allows them alone.
func newUnprivileged(ctx *pulumi.Context, name, namespace string, opts ...pulumi.ResourceOption) error {
	policy, err := apiextensions.NewCustomResource(ctx, name+"-policy", &apiextensions.CustomResourceArgs{
		ApiVersion:  pulumi.String(admissionVersion),
		Kind:        pulumi.String("ValidatingAdmissionPolicy"),
		Metadata:    &metav1.ObjectMetaArgs{Name: pulumi.String(unprivileged)},
		OtherFields: map[string]any{"spec": unprivilegedPolicy()},
	}, opts...)
	if err != nil {
		return err
	}
	_, err = apiextensions.NewCustomResource(ctx, name+"-binding", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String(admissionVersion),
		Kind:       pulumi.String("ValidatingAdmissionPolicyBinding"),
		Metadata:   &metav1.ObjectMetaArgs{Name: pulumi.String(unprivileged)},
		OtherFields: map[string]any{"spec": map[string]any{
			"policyName":        unprivileged,
			"validationActions": []any{"Deny"},
			"matchResources": map[string]any{"namespaceSelector": map[string]any{
				"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace},
			}},
		}},
	}, append(opts, pulumi.DependsOn([]pulumi.Resource{policy}))...)
	return err
}

// baselineCapabilities may be added at the level baseline.
const baselineCapabilities = `['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', ` +
	`'NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT']`

// unprivilegedPolicy is the rest of the level baseline
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline) in CEL.
func unprivilegedPolicy() map[string]any {
	rule := func(message, expression string) any {
		return map[string]any{"message": "CI jobs of the class build: " + message, "expression": expression}
	}
	return map[string]any{
		"failurePolicy": "Fail",
		"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
			"apiGroups": []any{""}, "apiVersions": []any{"v1"},
			"operations": []any{"CREATE", "UPDATE"}, "resources": []any{"pods", "pods/ephemeralcontainers"},
		}}},
		"variables": []any{map[string]any{
			"name": "containers",
			"expression": "object.spec.containers + object.spec.?initContainers.orValue([]) + " +
				"object.spec.?ephemeralContainers.orValue([])",
		}},
		"validations": []any{
			rule("no privileged containers",
				"variables.containers.all(c, !c.?securityContext.?privileged.orValue(false))"),
			rule("no capabilities beyond the baseline",
				"variables.containers.all(c, c.?securityContext.?capabilities.?add.orValue([]).all(a, a in "+
					baselineCapabilities+"))"),
			rule("no unmasked /proc",
				"variables.containers.all(c, c.?securityContext.?procMount.orValue('Default') == 'Default')"),
			rule("no ports of the host",
				"variables.containers.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))"),
			rule("no namespaces of the host",
				"!object.spec.?hostNetwork.orValue(false) && !object.spec.?hostPID.orValue(false) && "+
					"!object.spec.?hostIPC.orValue(false)"),
			rule("no paths of the host", "object.spec.?volumes.orValue([]).all(v, !has(v.hostPath))"),
			rule("no kernel settings", "object.spec.?securityContext.?sysctls.orValue([]).size() == 0"),
		},
	}
}
