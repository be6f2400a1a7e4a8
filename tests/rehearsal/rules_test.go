package rehearsal

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/stretchr/testify/require"
)

func named(typ, name string) resource.URN {
	return resource.NewURN("s", "p", "", tokens.Type(typ), name)
}

func properties(m map[string]any) resource.PropertyMap { return resource.NewPropertyMapFromMap(m) }

func TestKubernetesReplaceRules(t *testing.T) {
	rules := &kubernetesRules{cluster: newCluster()}
	settings := func(mutable bool) {
		rules.configure(properties(map[string]any{
			"kubeconfig": "k", "enableSecretMutable": mutable, "enableConfigMapMutable": mutable,
		}))
	}
	cases := []struct {
		typ, version, kind, path string
		mutable, sealed, want    bool
	}{
		{"kubernetes:core/v1:Service", "v1", "Service", "spec.clusterIP", true, false, true},
		{"kubernetes:core/v1:Service", "v1", "Service", "spec.ports[0].port", true, false, false},
		{"kubernetes:core/v1:Service", "v1", "Service", "metadata.name", true, false, true},
		{"kubernetes:core/v1:Service", "v1", "Service", "metadata.labels.app", true, false, false},
		{"kubernetes:batch/v1:Job", "batch/v1", "Job", "spec.template.spec.containers[0].image", true, false, true},
		{"kubernetes:batch/v1:Job", "batch/v1", "Job", "spec.backoffLimit", true, false, false},
		{"kubernetes:apps/v1:StatefulSet", "apps/v1", "StatefulSet", "spec.volumeClaimTemplates[0]", true, false, true},
		{"kubernetes:apps/v1:StatefulSet", "apps/v1", "StatefulSet", "spec.replicas", true, false, false},
		{"kubernetes:core/v1:PersistentVolumeClaim", "v1", "PersistentVolumeClaim", "spec.storageClassName", true, false, true},
		{"kubernetes:core/v1:PersistentVolumeClaim", "v1", "PersistentVolumeClaim", "spec.resources.requests.storage", true, false, false},
		{"kubernetes:core/v1:Secret", "v1", "Secret", "data.key", true, false, false},
		{"kubernetes:core/v1:Secret", "v1", "Secret", "data.key", false, false, true},
		{"kubernetes:core/v1:Secret", "v1", "Secret", "stringData.key", true, true, true},
		{"kubernetes:core/v1:Secret", "v1", "Secret", "type", true, false, true},
		{"kubernetes:core/v1:ConfigMap", "v1", "ConfigMap", "data.key", true, false, false},
		{"kubernetes:core/v1:ConfigMap", "v1", "ConfigMap", "data.key", false, false, true},
		{"kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "rbac.authorization.k8s.io/v1", "RoleBinding", "roleRef.name", true, false, true},
		{"kubernetes:storage.k8s.io/v1:StorageClass", "storage.k8s.io/v1", "StorageClass", "provisioner", true, false, true},
		{"kubernetes:core/v1:NamespacePatch", "v1", "Namespace", "metadata.labels.a", true, false, false},
		{releaseType, "", "", "name", true, false, true},
		{releaseType, "", "", "values.resources", true, false, false},
		{releaseType, "", "", "version", true, false, false},
	}
	for _, c := range cases {
		settings(c.mutable)
		news := properties(map[string]any{"apiVersion": c.version, "kind": c.kind, "immutable": c.sealed})
		require.Equal(t, c.want, rules.replaces(named(c.typ, "r"), c.path, nil, news),
			"%s %s, mutable %t, sealed %t", c.kind, c.path, c.mutable, c.sealed)
	}
}

func TestKubernetesRefusesInvalidObjects(t *testing.T) {
	rules := &kubernetesRules{cluster: newCluster()}
	object := func(kind string, metadata, more map[string]any) resource.PropertyMap {
		m := map[string]any{"apiVersion": "v1", "kind": kind, "metadata": metadata}
		for key, value := range more {
			m[key] = value
		}
		return properties(m)
	}
	for name, inputs := range map[string]resource.PropertyMap{
		"an upper-case name":  object("ConfigMap", map[string]any{"name": "Upper"}, nil),
		"a dotted service":    object("Service", map[string]any{"name": "a.b"}, nil),
		"a label with spaces": object("ConfigMap", map[string]any{"name": "a", "labels": map[string]any{"k": "no good"}}, nil),
		"data in plain text":  object("Secret", map[string]any{"name": "a"}, map[string]any{"data": map[string]any{"k": "not base64!"}}),
		"no kind":             properties(map[string]any{"apiVersion": "v1"}),
	} {
		_, failures := rules.check(named("kubernetes:core/v1:ConfigMap", "r"), nil, inputs)
		require.Len(t, failures, 1, name)
	}
	checked, failures := rules.check(named("kubernetes:core/v1:ConfigMap", "Mine"), nil, object("ConfigMap", map[string]any{}, nil))
	require.Empty(t, failures)
	require.Regexp(t, `^mine-[0-9a-f]{8}$`, text(checked, "metadata", "name"), "an object without a name gets one")
}

func TestClusterRefuses(t *testing.T) {
	cluster := newCluster()
	pool := object{group: "metallb.io", kind: "IPAddressPool", namespace: "default", name: "lab"}
	require.ErrorContains(t, cluster.add(pool, false, nil), "not installed")
	cluster.install()
	require.ErrorContains(t, cluster.add(pool, false, nil), "no kubeconfig")
	cluster.connect("k", true, true)
	require.ErrorContains(t, cluster.add(pool, false, nil), "its definition does not exist yet")

	release := object{group: "helm.sh", kind: "Release", namespace: "default", name: "metallb"}
	groups := definitions(named(releaseType, "metallb"), properties(map[string]any{"chart": "metallb"}))
	require.NoError(t, cluster.add(release, false, groups))
	require.NoError(t, cluster.add(pool, false, nil))
	require.ErrorContains(t, cluster.add(pool, false, nil), "already exists")

	space := object{kind: "Namespace", name: "lab"}
	inside := object{kind: "ConfigMap", namespace: "lab", name: "a"}
	require.ErrorContains(t, cluster.add(inside, false, nil), `namespaces "lab" not found`)
	require.NoError(t, cluster.add(space, false, nil))
	require.NoError(t, cluster.add(inside, false, nil))
	require.NoError(t, cluster.drop(space, false))
	require.ErrorContains(t, cluster.mustHave(inside), "not found", "a namespace takes along what is in it")

	cluster.uninstall()
	require.Zero(t, cluster.size())
	require.ErrorContains(t, cluster.drop(pool, false), "uninstalled")
}

func TestHostsRefuseWhatComesTooEarly(t *testing.T) {
	cluster := newCluster()
	drawn := &journal{secrets: map[string]string{}}
	h := newHosts(drawn, cluster, &authority{certificate: "c", key: "k"})
	run := func(host, key, line string) error {
		_, err := h.run(named("command:remote:Command", "step"), "create", properties(map[string]any{
			"create": line, "connection": map[string]any{"host": host, "hostKey": key},
		}))
		return err
	}
	require.ErrorContains(t, run("a", "", "homelab-ai preflight 1"), "key would not be verified")
	require.ErrorContains(t, run("a", "k", "rm -rf /"), "finds no step")
	require.ErrorContains(t, run("a", "k", "homelab-ai dance 1"), "does not know the step")
	require.NoError(t, run("a", "k", "homelab-ai ca 1"))
	require.ErrorContains(t, run("a", "k", "homelab-ai install 1"), "was not prepared")
	require.ErrorContains(t, run("a", "k", "homelab-ai kubeconfig 1"), "does not run yet")
	require.NoError(t, run("b", "k", "homelab-ai prepare 1"))
	require.ErrorContains(t, run("b", "k", "homelab-ai install 1"), "joins a server that does not run")
	require.NoError(t, run("a", "k", "homelab-ai prepare 1"))
	require.NoError(t, run("a", "k", "homelab-ai install 1"))
	require.NoError(t, run("b", "k", "homelab-ai install 1"))
	require.NoError(t, run("a", "k", "homelab-ai kubeconfig 1"))
}
