package components_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/homelab-ai/homelab-ai/components"
	"github.com/homelab-ai/homelab-ai/config"
	"github.com/homelab-ai/homelab-ai/tests/rehearsal"
)

// These tests hold the values that the lab sets against the real charts. They need the packaged charts: set E2E_CHARTS
// to a directory of .tgz files (helm pull <repository>/<chart>). Rendering needs helm in E2E_BIN or on PATH too.

// deployment is one chart as the program deploys it.
type deployment struct {
	chart, release, namespace string
	values                    map[string]any
}

// deployments are the charts of a stack: those of the core, Argo CD among them, and the workloads as they are when they
// are Helm releases too. The second result is every secret that was drawn.
func deployments(t *testing.T, file string) ([]deployment, map[string]string) {
	t.Helper()
	cfg, err := config.ParseStackFile(file)
	require.NoError(t, err)
	var all []deployment
	drawn := map[string]string{}
	for _, gitops := range []bool{true, false} {
		cfg.GitOps.Enabled = &gitops
		mocks, err := rehearsal.NewMocks()
		require.NoError(t, err)
		require.NoError(t, pulumi.RunErr(func(ctx *pulumi.Context) error { return components.Deploy(ctx, cfg) },
			pulumi.WithMocks(config.Namespace, "charts", mocks)))
		for _, made := range mocks.Registrations() {
			if made.TypeToken != "kubernetes:helm.sh/v3:Release" {
				continue
			}
			d := newDeployment(made.Inputs)
			if !slices.ContainsFunc(all, func(other deployment) bool { return other.release == d.release }) {
				all = append(all, d)
			}
		}
		maps.Copy(drawn, mocks.Secrets())
	}
	return all, drawn
}

func newDeployment(inputs resource.PropertyMap) deployment {
	tree := inputs.Mappable()
	values, _ := tree["values"].(map[string]any)
	return deployment{
		chart: path.Base(tree["chart"].(string)), release: tree["name"].(string),
		namespace: tree["namespace"].(string), values: values,
	}
}

// stacks are the files of the committed stacks.
func stacks(t *testing.T) []string {
	t.Helper()
	committed, err := filepath.Glob(filepath.Join("..", "Pulumi.*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, committed)
	return committed
}

// packaged is what is inside of a packaged chart.
type packaged struct {
	file      string
	files     map[string][]byte // by their path below the chart
	templates string
}

// open reads the chart of that name from E2E_CHARTS.
func open(t *testing.T, name string) *packaged {
	t.Helper()
	directory := os.Getenv("E2E_CHARTS")
	if directory == "" {
		t.Skip("E2E_CHARTS is not set: no packaged charts to compare with")
	}
	found, err := filepath.Glob(filepath.Join(directory, name+"-[0-9v]*.tgz"))
	require.NoError(t, err)
	if len(found) == 0 {
		t.Skipf("no %s in %s", name, directory)
	}
	content, err := os.ReadFile(found[len(found)-1])
	require.NoError(t, err)
	unzipped, err := gzip.NewReader(bytes.NewReader(content))
	require.NoError(t, err)
	chart := &packaged{file: found[len(found)-1], files: map[string][]byte{}}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return chart
		}
		require.NoError(t, err)
		text, err := io.ReadAll(archive)
		require.NoError(t, err)
		_, below, _ := strings.Cut(header.Name, "/")
		chart.files[below] = text
		if strings.HasPrefix(below, "templates/") {
			chart.templates += string(text)
		}
	}
}

// defaults are the chart's values, those of its sub-charts below their names and those of library charts at the top.
func (p *packaged) defaults(t *testing.T, below string) map[string]any {
	t.Helper()
	values := map[string]any{}
	for file, text := range p.files {
		name, ok := strings.CutSuffix(strings.TrimPrefix(file, below+"charts/"), "/Chart.yaml")
		if !ok || !strings.HasPrefix(file, below+"charts/") || strings.Contains(name, "/") {
			continue
		}
		var about struct {
			Type string `json:"type"`
		}
		require.NoError(t, yaml.Unmarshal(text, &about))
		sub := p.defaults(t, below+"charts/"+name+"/")
		if about.Type == "library" {
			maps.Copy(values, sub)
		} else {
			values[name] = sub
		}
	}
	own := map[string]any{}
	require.NoError(t, yaml.Unmarshal(p.files[below+"values.yaml"], &own))
	return overlay(values, own)
}

func overlay(base, over map[string]any) map[string]any {
	for key, value := range over {
		below, isMap := base[key].(map[string]any)
		above, both := value.(map[string]any)
		if isMap && both {
			value = overlay(below, above)
		}
		base[key] = value
	}
	return base
}

// passedOn are maps that a chart hands to a program, with more keys than it has defaults for.
var passedOn = []string{"configs.params"}

// unknown are the paths that neither the chart's values nor its templates know. What is below a map that is empty by
// default (annotations, labels, settings) or that a template prints as a whole is free.
func (p *packaged) unknown(values, defaults map[string]any, above string) []string {
	var paths []string
	for key, value := range values {
		at := strings.TrimPrefix(above+"."+key, ".")
		known, ok := defaults[key]
		if !ok {
			// A key that values.yaml holds as a comment alone.
			if !strings.Contains(p.templates, ".Values."+at) {
				paths = append(paths, at)
			}
			continue
		}
		tree, isMap := value.(map[string]any)
		below, both := known.(map[string]any)
		free := slices.Contains(passedOn, at) || strings.Contains(p.templates, "toYaml .Values."+at+" ")
		if isMap && both && len(below) > 0 && !free {
			paths = append(paths, p.unknown(tree, below, at)...)
		}
	}
	slices.Sort(paths)
	return paths
}

func TestEveryValueIsKnownToItsChart(t *testing.T) {
	checked := 0
	for _, file := range stacks(t) {
		all, _ := deployments(t, file)
		require.NotEmpty(t, all)
		for _, d := range all {
			t.Run(filepath.Base(file)+"/"+d.release, func(t *testing.T) {
				chart := open(t, d.chart)
				assert.Empty(t, chart.unknown(d.values, chart.defaults(t, ""), ""), "unknown to %s", chart.file)
				checked++
			})
		}
	}
	if os.Getenv("E2E_CHARTS") != "" {
		assert.Positive(t, checked)
	}
}

func TestUnknownValueIsFound(t *testing.T) {
	t.Parallel()
	chart := &packaged{templates: "{{ .Values.a.commented }}"}
	defaults := map[string]any{"a": map[string]any{"known": 1}, "free": map[string]any{}}
	assert.Equal(t, []string{"a.typo", "b"}, chart.unknown(map[string]any{
		"a":    map[string]any{"known": 2, "typo": 1, "commented": true},
		"free": map[string]any{"anything": 1},
		"b":    1,
	}, defaults, ""))
}

// render is `helm template`.
func render(t *testing.T, helm string, chart *packaged, d deployment, version string) string {
	t.Helper()
	text, err := yaml.Marshal(d.values)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	arguments := []string{
		"template", d.release, chart.file, "--namespace", d.namespace, "--values", file,
		"--kube-version", version, "--api-versions", "monitoring.coreos.com/v1",
	}
	if bytes.Contains(chart.files["values.schema.json"], []byte(`"$ref": "http`)) {
		arguments = append(arguments, "--skip-schema-validation") // the schema is a page on the web
	}
	command := exec.Command(helm, arguments...)
	var failure bytes.Buffer
	command.Stderr = &failure
	output, err := command.Output()
	require.NoError(t, err, failure.String())
	return string(output)
}

func TestChartsRenderTheSameTwiceAndWithinLimits(t *testing.T) {
	helm, err := exec.LookPath(filepath.Join(os.Getenv("E2E_BIN"), "helm"))
	if err != nil {
		t.Skip("no helm in E2E_BIN or on PATH")
	}
	version := config.DefaultCatalogue().K3s.Version
	for _, file := range stacks(t) {
		all, drawn := deployments(t, file)
		require.NotEmpty(t, drawn)
		for _, d := range all {
			t.Run(filepath.Base(file)+"/"+d.release, func(t *testing.T) {
				t.Parallel()
				chart := open(t, d.chart)
				first := render(t, helm, chart, d, version)
				assert.Equal(t, first, render(t, helm, chart, d, version), "a value is drawn at render")
				for name, secret := range drawn {
					assert.NotContains(t, first, secret, name)
				}
				assertLimited(t, first)
			})
		}
	}
}

// assertLimited looks at every container of what was rendered.
func assertLimited(t *testing.T, manifests string) {
	t.Helper()
	for _, manifest := range strings.Split(manifests, "\n---\n") {
		var object struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Spec struct {
				Template struct {
					Spec struct {
						InitContainers []container `json:"initContainers"`
						Containers     []container `json:"containers"`
					} `json:"spec"`
				} `json:"template"`
			} `json:"spec"`
		}
		if yaml.Unmarshal([]byte(manifest), &object) != nil {
			continue // a kind whose spec has another shape
		}
		pod := object.Spec.Template.Spec
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			name := object.Kind + " " + object.Metadata.Name + ", container " + c.Name
			assert.NotEmpty(t, c.Resources.Requests["cpu"], name)
			assert.NotEmpty(t, c.Resources.Requests["memory"], name)
			assert.NotEmpty(t, c.Resources.Limits["memory"], name)
		}
	}
}

type container struct {
	Name      string `json:"name"`
	Resources struct {
		Requests map[string]any `json:"requests"`
		Limits   map[string]any `json:"limits"`
	} `json:"resources"`
}
