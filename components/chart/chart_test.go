package chart

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/homelab-ai/homelab-ai/config"
)

// recorder is a mocked engine that keeps what was registered, by resource name.
type recorder struct {
	mu        sync.Mutex
	resources map[string]pulumi.MockResourceArgs
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resources[args.Name] = args
	state := args.Inputs.Copy()
	switch args.TypeToken {
	case releaseType:
		state["status"] = resource.NewObjectProperty(resource.PropertyMap{"status": resource.NewStringProperty("deployed")})
	case "random:index/randomPassword:RandomPassword":
		state["result"] = resource.MakeSecret(resource.NewStringProperty("key of this run"))
	}
	return args.Name + "-id", state, nil
}

func (r *recorder) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, errors.New("no function is called here")
}

// inputs of a resource as plain JSON values.
func (r *recorder) inputs(t *testing.T, name string) map[string]any {
	t.Helper()
	require.Contains(t, r.resources, name)
	return r.resources[name].Inputs.Mappable()
}

func run(t *testing.T, program func(ctx *pulumi.Context) error, opts ...pulumi.RunOption) (*recorder, error) {
	t.Helper()
	r := &recorder{resources: map[string]pulumi.MockResourceArgs{}}
	err := pulumi.RunErr(program, append([]pulumi.RunOption{pulumi.WithMocks("homelab-ai", "staging", r)}, opts...)...)
	return r, err
}

func preview(info *pulumi.RunInfo) { info.DryRun = true }

func delivery() *Delivery {
	return &Delivery{Catalogue: map[string]config.Chart{
		"web":    {Repository: "https://charts.example.org/", Name: "web-server", Version: "1.2.3"},
		"oci":    {Repository: "oci://registry.example.org/charts", Name: "oci-chart", Version: "v4.5.6"},
		"broken": {Repository: "https://charts.example.org", Name: "broken"},
	}}
}

func gitOps(d *Delivery) *Delivery {
	d.GitOps = &GitOps{Namespace: "argocd", Project: "lab", SyncTimeout: 15 * time.Minute, Server: inClusterServer}
	return d
}

// deploy runs New as the whole program.
func deploy(t *testing.T, args *Args, opts ...pulumi.RunOption) (*recorder, string, error) {
	t.Helper()
	if args.Namespace == nil {
		args.Namespace = pulumi.String("web")
	}
	var mu sync.Mutex
	status := ""
	r, err := run(t, func(ctx *pulumi.Context) error {
		c, err := New(ctx, "site", args)
		if err != nil {
			return err
		}
		c.Status.ApplyT(func(s string) string {
			mu.Lock()
			defer mu.Unlock()
			status = s
			return s
		})
		return nil
	}, opts...)
	return r, status, err
}

func TestReleaseFromRepository(t *testing.T) {
	t.Parallel()
	r, status, err := deploy(t, &Args{
		Delivery: delivery(), Chart: "web", Release: "front", Workload: true, Timeout: 90 * time.Second, SkipCRDs: true,
		Values: Values{"replicas": 2, "list": []string{"a"}, "of": pulumi.StringMap{"x": pulumi.String("y")}},
	})
	require.NoError(t, err)
	assert.Equal(t, "deployed", status)
	got := r.inputs(t, "site-release")
	assert.Equal(t, releaseType, r.resources["site-release"].TypeToken)
	assert.Equal(t, map[string]any{
		"chart": "web-server", "version": "1.2.3", "repositoryOpts": map[string]any{"repo": "https://charts.example.org"},
		"name": "front", "namespace": "web", "createNamespace": false, "compat": "true",
		"atomic": true, "cleanupOnFail": true, "maxHistory": 5.0, "timeout": 90.0, "skipCrds": true,
		"values": map[string]any{"replicas": 2.0, "list": []any{"a"}, "of": map[string]any{"x": "y"}},
	}, got)
}

func TestReleaseFromOCI(t *testing.T) {
	t.Parallel()
	r, _, err := deploy(t, &Args{Delivery: delivery(), Chart: "oci"})
	require.NoError(t, err)
	got := r.inputs(t, "site-release")
	assert.Equal(t, "oci://registry.example.org/charts/oci-chart", got["chart"])
	assert.Equal(t, "oci", got["name"], "the catalogue key names the release")
	assert.Equal(t, 600.0, got["timeout"])
	assert.NotContains(t, got, "repositoryOpts")
}

func TestMirrorServesEveryChart(t *testing.T) {
	t.Parallel()
	for mirror, want := range map[string]map[string]any{
		"https://mirror.lab/charts/":  {"chart": "oci-chart", "repositoryOpts": map[string]any{"repo": "https://mirror.lab/charts"}},
		"oci://mirror.lab:5000/helm/": {"chart": "oci://mirror.lab:5000/helm/oci-chart"},
	} {
		d := delivery()
		d.Mirror = mirror
		r, _, err := deploy(t, &Args{Delivery: d, Chart: "oci"})
		require.NoError(t, err)
		got := r.inputs(t, "site-release")
		assert.Equal(t, want["chart"], got["chart"])
		assert.Equal(t, want["repositoryOpts"], got["repositoryOpts"])
	}
}

func TestCoreChartIsAReleaseWithGitOps(t *testing.T) {
	t.Parallel()
	r, _, err := deploy(t, &Args{Delivery: gitOps(delivery()), Chart: "web"})
	require.NoError(t, err)
	assert.Contains(t, r.resources, "site-release")
	assert.NotContains(t, r.resources, "site-application")
}

// A dependency of the component is one of what it deploys; Pulumi itself does not hand it down.
func TestDependenciesReachWhatIsDeployed(t *testing.T) {
	t.Parallel()
	for _, workload := range []bool{false, true} {
		r, err := run(t, func(ctx *pulumi.Context) error {
			first, err := New(ctx, "first", &Args{Delivery: gitOps(delivery()), Chart: "oci", Namespace: pulumi.String("web")})
			if err != nil {
				return err
			}
			_, err = New(ctx, "site", &Args{
				Delivery: gitOps(delivery()), Chart: "web", Namespace: pulumi.String("web"), Workload: workload,
			}, pulumi.DependsOn([]pulumi.Resource{first.Deployed}))
			return err
		})
		require.NoError(t, err)
		name := map[bool]string{false: "site-release", true: "site-application"}[workload]
		require.Contains(t, r.resources, name)
		assert.Contains(t, strings.Join(r.resources[name].RegisterRPC.GetDependencies(), " "), "::first-release")
	}
}

func TestStackValuesComeLast(t *testing.T) {
	t.Parallel()
	d := delivery()
	d.Values = map[string]map[string]any{"web": {"a": map[string]any{"b": "stack"}, "gone": nil}}
	r, _, err := deploy(t, &Args{
		Delivery: d, Chart: "web",
		Values:          Values{"a": Values{"b": "ours", "c": "ours"}, "gone": Values{"x": 1}, "pod": Values{"annotations": Values{"keep": "me"}}},
		SecretChecksums: map[string]pulumi.StringInput{"pod.annotations": pulumi.String("sum")},
	})
	require.NoError(t, err)
	got := r.inputs(t, "site-release")
	assert.Equal(t, map[string]any{
		"a":   map[string]any{"b": "stack", "c": "ours"},
		"pod": map[string]any{"annotations": map[string]any{"keep": "me", "checksum/secrets": "sum"}},
	}, got["values"])
	files := r.resources["site-release"].Inputs["valueYamlFiles"].ArrayValue()
	require.Len(t, files, 1, "Pulumi drops nulls from maps, so they go beside")
	assert.Equal(t, "gone: null\n", files[0].AssetValue().Text)
}

func TestApplication(t *testing.T) {
	t.Parallel()
	d := gitOps(delivery())
	d.Values = map[string]map[string]any{"oci": {"port": 1000000.0, "gone": nil}}
	r, status, err := deploy(t, &Args{Delivery: d, Chart: "oci", Workload: true, Values: Values{"b": 1, "a": "x"}})
	require.NoError(t, err)
	assert.Equal(t, "Healthy", status)
	assert.NotContains(t, r.resources, "site-release")
	assert.Equal(t, "kubernetes:argoproj.io/v1alpha1:Application", r.resources["site-application"].TypeToken)

	got := r.inputs(t, "site-application")
	metadata := got["metadata"].(map[string]any)
	assert.Equal(t, "oci", metadata["name"])
	assert.Equal(t, "argocd", metadata["namespace"])
	assert.Equal(t, []any{"resources-finalizer.argocd.argoproj.io"}, metadata["finalizers"])
	spec := got["spec"].(map[string]any)
	assert.Equal(t, "lab", spec["project"])
	assert.Equal(t, map[string]any{"server": inClusterServer, "namespace": "web"}, spec["destination"])
	assert.Equal(t, map[string]any{"prune": true, "selfHeal": true}, spec["syncPolicy"].(map[string]any)["automated"])
	source := spec["source"].(map[string]any)
	assert.Equal(t, "registry.example.org/charts", source["repoURL"], "Argo CD knows OCI charts by the missing scheme")
	assert.Equal(t, "oci-chart", source["chart"])
	assert.Equal(t, "v4.5.6", source["targetRevision"])
	helm := source["helm"].(map[string]any)
	assert.Equal(t, true, helm["skipCrds"])
	assert.Equal(t, true, helm["skipSchemaValidation"])
	assert.Equal(t, "oci", helm["releaseName"])
	assert.Equal(t, "a: x\nb: 1\ngone: null\nport: 1000000\n", helm["values"])

	parameter := helm["parameters"].([]any)[0].(map[string]any)
	assert.Equal(t, "global.labSpecHash", parameter["name"])
	annotations := metadata["annotations"].(map[string]any)
	assert.Equal(t, "900", annotations["pulumi.com/timeoutSeconds"])
	var conditions []string
	require.NoError(t, json.Unmarshal([]byte(annotations["pulumi.com/waitFor"].(string)), &conditions))
	assert.ElementsMatch(t, []string{
		"jsonpath={.status.sync.status}=Synced", "jsonpath={.status.health.status}=Healthy",
		"jsonpath={.status.sync.comparedTo.source.helm.parameters[0].value}=" + parameter["value"].(string),
	}, conditions)
}

func TestSpecHashFollowsTheSpec(t *testing.T) {
	t.Parallel()
	hash := func(change func(d *Delivery, args *Args)) string {
		d := gitOps(delivery())
		args := &Args{Delivery: d, Chart: "web", Namespace: pulumi.String("web"), Values: Values{"a": 1, "b": Values{"c": 2}}}
		change(d, args)
		prepared, err := args.prepare()
		require.NoError(t, err)
		spec, err := prepared.applicationSpec(prepared.values, "web")
		require.NoError(t, err)
		helm := spec["source"].(map[string]any)["helm"].(map[string]any)
		return helm["parameters"].([]any)[0].(map[string]any)["value"].(string)
	}
	base := hash(func(*Delivery, *Args) {})
	assert.Equal(t, base, hash(func(*Delivery, *Args) {}), "the same spec has the same hash")
	changes := map[string]func(d *Delivery, args *Args){
		"value":      func(_ *Delivery, a *Args) { a.Values["b"] = Values{"c": 3} },
		"version":    func(d *Delivery, _ *Args) { c := d.Catalogue["web"]; c.Version = "1.2.4"; d.Catalogue["web"] = c },
		"repository": func(d *Delivery, _ *Args) { d.Mirror = "https://mirror.lab" },
		"release":    func(_ *Delivery, a *Args) { a.Release = "other" },
		"project":    func(d *Delivery, _ *Args) { d.GitOps.Project = "user" },
	}
	for name, change := range changes {
		assert.NotEqual(t, base, hash(change), name)
	}
}

func TestWorkloadTimeoutIsTheLongerOne(t *testing.T) {
	t.Parallel()
	r, _, err := deploy(t, &Args{Delivery: gitOps(delivery()), Chart: "web", Workload: true, Timeout: time.Hour})
	require.NoError(t, err)
	annotations := r.inputs(t, "site-application")["metadata"].(map[string]any)["annotations"].(map[string]any)
	assert.Equal(t, "3600", annotations["pulumi.com/timeoutSeconds"])
}

func TestArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	for want, args := range map[string]*Args{
		`chart "webb" is not in the catalogue; it has broken, oci, web`:      {Delivery: delivery(), Chart: "webb"},
		`chart "broken" of the catalogue lacks its repository, name or vers`: {Delivery: delivery(), Chart: "broken"},
		"delivery and namespace are required":                                {Chart: "web"},
	} {
		_, _, err := deploy(t, args)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "chart site", "the message names the resource")
	}
}

func TestSecretsInValuesAreRefused(t *testing.T) {
	t.Parallel()
	hidden := pulumi.ToSecret(pulumi.String("generated")).(pulumi.StringOutput)
	cases := map[string]struct {
		values Values
		path   string
	}{
		"at the top":       {Values{"password": hidden}, "password"},
		"below maps":       {Values{"auth": Values{"admin": Values{"password": hidden}}}, "auth.admin.password"},
		"in a list":        {Values{"env": []any{Values{"name": "A"}, Values{"value": hidden}}}, "env[1].value"},
		"in a Pulumi map":  {Values{"auth": pulumi.Map{"password": hidden}}, "auth.password"},
		"derived":          {Values{"url": pulumi.Sprintf("https://lab:%s@host", hidden)}, "url"},
		"in an output map": {Values{"auth": pulumi.Map{"password": hidden}.ToMapOutput()}, "auth"},
		"from the config":  {Values{"token": config.NewSecret("generated")}, "token"},
	}
	for name, c := range cases {
		for _, workload := range []bool{false, true} {
			for _, opts := range [][]pulumi.RunOption{nil, {preview}} {
				r, _, err := deploy(t, &Args{Delivery: gitOps(delivery()), Chart: "web", Workload: workload, Values: c.values}, opts...)
				require.Error(t, err, name)
				require.ErrorContains(t, err, "chart web: value "+c.path+" is a secret", name)
				require.NotContains(t, err.Error(), "generated", name)
				assert.NotContains(t, r.resources, "site-release", name)
				assert.NotContains(t, r.resources, "site-application", name)
			}
		}
	}
}

func TestUnknownSecretIsRefusedInPreview(t *testing.T) {
	t.Parallel()
	_, err := run(t, func(ctx *pulumi.Context) error {
		unknown := pulumi.ToSecret(pulumi.UnsafeUnknownOutput(nil))
		_, err := New(ctx, "site", &Args{
			Delivery: delivery(), Chart: "web", Namespace: pulumi.String("web"), Values: Values{"password": unknown},
		})
		return err
	}, preview)
	require.ErrorContains(t, err, "value password is a secret")
}

func TestPlainOutputsAreValues(t *testing.T) {
	t.Parallel()
	address := pulumi.String("10.0.0.1").ToStringOutput()
	r, _, err := deploy(t, &Args{Delivery: delivery(), Chart: "web", Values: Values{"service": Values{"address": address, "ids": []any{pulumi.Int(1).ToIntOutput()}}}})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"service": map[string]any{"address": "10.0.0.1", "ids": []any{1.0}}}, r.inputs(t, "site-release")["values"])
}

func TestValuesOfNoKnownKindAreRefused(t *testing.T) {
	t.Parallel()
	_, _, err := deploy(t, &Args{Delivery: delivery(), Chart: "web", Values: Values{"a": Values{"b": struct{ C int }{1}}}})
	require.ErrorContains(t, err, "value a.b is a struct")
}

func TestCRDsAreKept(t *testing.T) {
	t.Parallel()
	r, err := run(t, func(ctx *pulumi.Context) error {
		_, err := NewCRDs(ctx, "definitions", &CRDsArgs{
			Delivery: gitOps(delivery()), Chart: "oci", Namespace: pulumi.String("monitoring"), AnnotationsPath: "crds.annotations",
		})
		return err
	})
	require.NoError(t, err)
	values := r.inputs(t, "definitions-release")["values"]
	assert.Equal(t, map[string]any{"crds": map[string]any{"annotations": map[string]any{"helm.sh/resource-policy": "keep"}}}, values)
}

func TestDeliveryFromConfig(t *testing.T) {
	t.Parallel()
	off := false
	cfg := &config.Config{
		ChartMirror: "https://mirror.lab", Versions: config.Catalogue{Charts: delivery().Catalogue},
		GitOps: config.GitOps{SyncTimeout: "20m"},
	}
	d := From(cfg)
	require.NotNil(t, d.GitOps)
	assert.Equal(t, 20*time.Minute, d.GitOps.SyncTimeout)
	assert.Equal(t, "argocd", d.GitOps.Namespace)
	assert.Equal(t, []string{"https://mirror.lab"}, d.Repositories())
	cfg.GitOps.Enabled = &off
	assert.Nil(t, From(cfg).GitOps)
	cfg.ChartMirror = ""
	assert.Equal(t, []string{"https://charts.example.org", "registry.example.org/charts"}, From(cfg).Repositories())
}

func TestApplicationValuesAreYAML(t *testing.T) {
	t.Parallel()
	r, _, err := deploy(t, &Args{
		Delivery: gitOps(delivery()), Chart: "web", Workload: true,
		Values: Values{"text": "yes", "port": "8080", "multi": "a\nb\n", "nested": Values{"list": []any{Values{"x": true}}}},
	})
	require.NoError(t, err)
	helm := r.inputs(t, "site-application")["spec"].(map[string]any)["source"].(map[string]any)["helm"].(map[string]any)
	var back map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(helm["values"].(string)), &back))
	assert.Equal(t, map[string]any{
		"text": "yes", "port": "8080", "multi": "a\nb\n",
		"nested": map[string]any{"list": []any{map[string]any{"x": true}}},
	}, back)
}
