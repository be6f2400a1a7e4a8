package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The charts and images that the design names; more may be there.
var (
	designCharts = []string{
		"metallb", "nginx-ingress", "cert-manager", "trust-manager", "prometheus-operator-crds", "argo-cd", "app-template",
		"gitlab-runner", "jupyterhub", "ollama", "open-webui", "nvidia-device-plugin", "dcgm-exporter", "kube-prometheus-stack",
		"prometheus-blackbox-exporter", "velero", "trivy-operator", "loki", "alloy",
	}
	designImages = []string{"gitlab", "garage", "velero-plugin-for-aws", "ollama", "kubectl", "jupyter-cpu", "jupyter-gpu"}
)

func TestCatalogue(t *testing.T) {
	catalogue := DefaultCatalogue()
	c := &checker{cfg: &Config{Versions: catalogue}, catalogue: catalogue}
	c.cfg.applyDefaults()
	c.validateVersions()
	c.validateGitLabUpgrade()
	assert.Empty(t, c.sorted())

	assert.Len(t, catalogue.K3s.SHA256, 2)
	for _, name := range designCharts {
		chart, ok := catalogue.Charts[name]
		assert.True(t, ok, "chart %s", name)
		assert.NotEmpty(t, chart.Name, "chart %s", name)
	}
	for _, name := range designImages {
		assert.Contains(t, catalogue.Images, name)
	}
	assert.NotEmpty(t, catalogue.Host.NVIDIAContainerToolkit.Version)
}

// Whoever changes a catalogue changes a copy.
func TestCatalogueIsACopy(t *testing.T) {
	changed := DefaultCatalogue()
	changed.Charts["ollama"] = Chart{}
	changed.Images["ollama"] = Image{}
	changed.K3s.SHA256["amd64"] = ""
	assert.NotEqual(t, changed, DefaultCatalogue())
	assert.NotEmpty(t, DefaultCatalogue().Charts["ollama"].Version)
	assert.NotEmpty(t, DefaultCatalogue().Images["ollama"].Tag)
	assert.NotEmpty(t, DefaultCatalogue().K3s.SHA256["amd64"])
}

func TestOverridesGoKeyByKey(t *testing.T) {
	cfg, err := load(t, fixtures(t, "valid")["candidate-versions"])
	require.NoError(t, err)
	was := DefaultCatalogue()
	want := was.Charts["ollama"]
	want.Version = "1.99.0"
	assert.Equal(t, want, cfg.Versions.Charts["ollama"])
	assert.Equal(t, was.Charts["metallb"], cfg.Versions.Charts["metallb"])
	assert.Equal(t, Image{Repository: was.Images["ollama"].Repository, Tag: "0.99.0"}, cfg.Versions.Images["ollama"],
		"the digest belonged to the other tag")
	assert.Equal(t, "v1.35.9+k3s1", cfg.Versions.K3s.Version)
	assert.Len(t, cfg.Versions.K3s.SHA256, 1, "the other checksum belonged to the other version")
}

func TestExactVersion(t *testing.T) {
	for version, exact := range map[string]bool{
		"1.2.3": true, "v1.2.3": true, "1.2.3-rc.1": true, "1.2.3+build.4": true,
		"1.2": false, "v1": false, "^1.2.3": false, "1.x.x": false, "*": false, "": false, "latest": false, "-": false, "v+": false,
	} {
		assert.Equal(t, exact, exactVersion(version), "%q", version)
	}
}
