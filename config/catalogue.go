package config

import (
	_ "embed"
	"fmt"
	"sync"

	"sigs.k8s.io/yaml"
)

//go:embed versions.yaml
var versionsYAML []byte

var embedded = sync.OnceValue(func() Catalogue {
	var catalogue Catalogue
	if err := yaml.UnmarshalStrict(versionsYAML, &catalogue); err != nil {
		panic(fmt.Sprintf("config/versions.yaml: %v", err)) // compiled in; the package's tests read it
	}
	return catalogue
})

// DefaultCatalogue returns a copy of the embedded catalogue, config/versions.yaml.
func DefaultCatalogue() Catalogue {
	catalogue := embedded()
	return catalogue.merge(Catalogue{})
}

// merge returns the catalogue with the entries that override sets. What proves a version (a checksum, a digest) goes
// with it: overriding the version alone drops the old proof.
func (c Catalogue) merge(override Catalogue) Catalogue {
	merged := Catalogue{K3s: c.K3s, Charts: map[string]Chart{}, Images: map[string]Image{}, Host: c.Host}
	merged.K3s.SHA256 = map[string]string{}
	if override.K3s.Version == "" || override.K3s.Version == c.K3s.Version {
		for architecture, sum := range c.K3s.SHA256 {
			merged.K3s.SHA256[architecture] = sum
		}
	}
	set(&merged.K3s.Version, override.K3s.Version)
	for architecture, sum := range override.K3s.SHA256 {
		merged.K3s.SHA256[architecture] = sum
	}
	for name, chart := range c.Charts {
		o := override.Charts[name]
		set(&chart.Repository, o.Repository)
		set(&chart.Name, o.Name)
		set(&chart.Version, o.Version)
		merged.Charts[name] = chart
	}
	for name, image := range c.Images {
		o := override.Images[name]
		if (o.Tag != "" && o.Tag != image.Tag) || (o.Repository != "" && o.Repository != image.Repository) {
			image.Digest = ""
		}
		set(&image.Repository, o.Repository)
		set(&image.Tag, o.Tag)
		set(&image.Digest, o.Digest)
		merged.Images[name] = image
	}
	set(&merged.Host.NVIDIAContainerToolkit.Version, override.Host.NVIDIAContainerToolkit.Version)
	set(&merged.Host.NVIDIAContainerToolkit.KeySHA256, override.Host.NVIDIAContainerToolkit.KeySHA256)
	return merged
}

func set(to *string, value string) {
	if value != "" {
		*to = value
	}
}
