package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helm "helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	kubefake "helm.sh/helm/v3/pkg/kube/fake"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"
)

// revision of a release; later ones are newer.
func revision(name string, version int, status release.Status) *release.Release {
	return &release.Release{
		Name: name, Namespace: "lab", Version: version,
		Info:     &release.Info{Status: status, FirstDeployed: helmtime.Now(), LastDeployed: helmtime.Now()},
		Chart:    &chart.Chart{Metadata: &chart.Metadata{Name: name, Version: "1.0.0", APIVersion: "v2"}},
		Manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-" + name + "}\n",
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	history := func(statuses ...release.Status) (revisions []*release.Release) {
		for i, status := range statuses {
			revisions = append(revisions, revision("web", i+1, status))
		}
		return revisions
	}
	cases := map[string]struct {
		history []*release.Release
		want    string
	}{
		"fine":                     {history(release.StatusSuperseded, release.StatusDeployed), ""},
		"failed is not pending":    {history(release.StatusDeployed, release.StatusFailed), ""},
		"recovered already":        {history(release.StatusSuperseded, release.StatusPendingUpgrade, release.StatusDeployed), ""},
		"installation":             {history(release.StatusPendingInstall), "lab/web is pending-install (revision 1): remove"},
		"removal":                  {history(release.StatusUninstalling), "lab/web is uninstalling (revision 1): remove"},
		"upgrade":                  {history(release.StatusSuperseded, release.StatusDeployed, release.StatusPendingUpgrade), "lab/web is pending-upgrade (revision 3): roll back to revision 2"},
		"rollback":                 {history(release.StatusSuperseded, release.StatusFailed, release.StatusPendingRollback), "lab/web is pending-rollback (revision 3): roll back to revision 1"},
		"deployed beats newer":     {history(release.StatusDeployed, release.StatusSuperseded, release.StatusPendingUpgrade), "lab/web is pending-upgrade (revision 3): roll back to revision 1"},
		"never deployed":           {history(release.StatusFailed, release.StatusPendingUpgrade), "lab/web is pending-upgrade (revision 2): remove"},
		"nothing at all":           {nil, ""},
		"revision without details": {[]*release.Release{{Name: "web"}}, ""},
	}
	for name, c := range cases {
		var got []string
		for _, s := range plan(c.history) {
			got = append(got, s.String())
		}
		assert.Equal(t, c.want, strings.Join(got, "\n"), name)
	}
}

func TestPlanIsSortedAndKeepsNamespacesApart(t *testing.T) {
	t.Parallel()
	other := revision("a", 1, release.StatusPendingInstall)
	other.Namespace = "another"
	steps := plan([]*release.Release{
		revision("b", 1, release.StatusPendingInstall), revision("a", 2, release.StatusDeployed),
		revision("c", 1, release.StatusPendingInstall), other,
	})
	var names []string
	for _, s := range steps {
		names = append(names, s.namespace+"/"+s.name)
	}
	assert.Equal(t, []string{"another/a", "lab/b", "lab/c"}, names)
}

// helmInMemory is Helm with its storage in memory and a cluster that accepts everything.
func helmInMemory(t *testing.T, revisions ...*release.Release) *helm.Configuration {
	t.Helper()
	memory := driver.NewMemory()
	memory.SetNamespace("lab")
	cfg := &helm.Configuration{
		Releases: storage.Init(memory), KubeClient: &kubefake.PrintingKubeClient{Out: io.Discard},
		Capabilities: chartutil.DefaultCapabilities, Log: func(string, ...any) {},
	}
	for _, r := range revisions {
		require.NoError(t, cfg.Releases.Create(r))
	}
	return cfg
}

func with(cfg *helm.Configuration) repairer {
	return repairer{
		configure: func(string) (*helm.Configuration, error) { return cfg, nil }, timeout: time.Second,
	}
}

func stored(t *testing.T, cfg *helm.Configuration) []*release.Release {
	t.Helper()
	revisions, err := cfg.Releases.ListReleases()
	require.NoError(t, err)
	return revisions
}

func TestInterruptedUpgradeGoesBack(t *testing.T) {
	t.Parallel()
	cfg := helmInMemory(t, revision("web", 1, release.StatusDeployed), revision("web", 2, release.StatusPendingUpgrade))
	var out bytes.Buffer
	require.NoError(t, repairAll(plan(stored(t, cfg)), with(cfg), &out))
	assert.Equal(t, "lab/web is pending-upgrade (revision 2): roll back to revision 1: done\n"+whatNext+"\n", out.String())

	last, err := cfg.Releases.Last("web")
	require.NoError(t, err)
	assert.Equal(t, 3, last.Version)
	assert.Equal(t, release.StatusDeployed, last.Info.Status)

	out.Reset()
	require.NoError(t, repairAll(plan(stored(t, cfg)), with(cfg), &out))
	assert.Equal(t, "No Helm release is pending.\n", out.String(), "a second run finds nothing")
}

func TestInterruptedInstallationIsRemoved(t *testing.T) {
	t.Parallel()
	cfg := helmInMemory(t, revision("web", 1, release.StatusPendingInstall), revision("db", 1, release.StatusDeployed))
	require.NoError(t, repairAll(plan(stored(t, cfg)), with(cfg), io.Discard))
	left := stored(t, cfg)
	require.Len(t, left, 1)
	assert.Equal(t, "db", left[0].Name, "what is not pending stays")
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	cfg := helmInMemory(t, revision("web", 1, release.StatusPendingInstall))
	r := with(cfg)
	r.dryRun = true
	var out bytes.Buffer
	require.NoError(t, repairAll(plan(stored(t, cfg)), r, &out))
	assert.Equal(t, "lab/web is pending-install (revision 1): remove (dry run, nothing done)\n", out.String())
	assert.Len(t, stored(t, cfg), 1)
}

func TestOneFailureDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	cfg := helmInMemory(t, revision("a", 1, release.StatusPendingInstall), revision("b", 1, release.StatusPendingInstall))
	calls := 0
	r := repairer{configure: func(string) (*helm.Configuration, error) {
		calls++
		if calls == 1 {
			return nil, errors.New("refused")
		}
		return cfg, nil
	}}
	var out bytes.Buffer
	err := repairAll(plan(stored(t, cfg)), r, &out)
	require.EqualError(t, err, "lab/a: refused")
	assert.Contains(t, out.String(), "lab/a is pending-install (revision 1): remove: failed\n")
	assert.Contains(t, out.String(), "lab/b is pending-install (revision 1): remove: done\n")
	assert.NotContains(t, out.String(), "pulumi up")
}

func TestFlags(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"--stack", "staging", "--dry-run"})
	require.NoError(t, err)
	assert.Equal(t, options{stack: "staging", project: "../..", dryRun: true, timeout: 5 * time.Minute}, o)
	_, err = parse(nil)
	require.ErrorContains(t, err, "make recover STACK=<stack>")
	_, err = parse([]string{"--stack", "staging", "more"})
	require.ErrorContains(t, err, `"more"`)
}

func TestKubeconfigIsNotQuoted(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"--kubeconfig", "-", "--dry-run"}, strings.NewReader("clusters: {token-of-this-test"), io.Discard)
	require.EqualError(t, err, "the kubeconfig can't be parsed")
}

// Without it Helm would look for the objects of a release in the namespace default, find none, and call that removed.
func TestHelmWorksInTheReleasesNamespace(t *testing.T) {
	t.Parallel()
	c, err := connect([]byte(`{"current-context": "lab", "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
		"clusters": [{"name": "lab", "cluster": {"server": "https://192.0.2.1:6443"}}], "users": [{"name": "lab", "user": {}}]}`))
	require.NoError(t, err)
	cfg, err := c.configure("ollama")
	require.NoError(t, err)
	seen, ok := cfg.RESTClientGetter.(*cluster)
	require.True(t, ok)
	namespace, _, err := seen.ToRawKubeConfigLoader().Namespace()
	require.NoError(t, err)
	assert.Equal(t, "ollama", namespace)
	restConfig, err := cfg.RESTClientGetter.ToRESTConfig()
	require.NoError(t, err)
	assert.Equal(t, "https://192.0.2.1:6443", restConfig.Host)
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	listing := "" +
		"    1     0 /sbin/init\n" +
		"  100     1 pulumi up --yes\n" +
		"  101   100 /home/lab/.pulumi/plugins/pulumi-resource-kubernetes 127.0.0.1:4000\n" +
		"  102   100 /home/lab/.pulumi/plugins/pulumi-resource-random 127.0.0.1:4000\n" +
		"  201     1 /home/lab/.pulumi/plugins/pulumi-resource-kubernetes 127.0.0.1:5000\n" +
		"  202   999 /home/lab/.pulumi/plugins/pulumi-resource-kubernetes 127.0.0.1:5001\n" +
		"  203     1 vi pulumi-resource-kubernetes\n" +
		"header\n"
	assert.Equal(t, []int{201, 202}, orphans(parseProcesses([]byte(listing))))
}
