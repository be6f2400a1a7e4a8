package rehearsal

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// Variant changes a stack file: change gets the mapping under the key config, whose keys are homelab-ai:...
func Variant(content []byte, change func(settings map[string]any)) ([]byte, error) {
	var file map[string]any
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	settings := mapping(file["config"])
	if settings == nil {
		return nil, fmt.Errorf("the stack file has no mapping under the key config")
	}
	change(settings)
	return yaml.Marshal(file)
}

// Section returns the mapping under a path of keys, made where it is missing.
func Section(settings map[string]any, path ...string) map[string]any {
	for _, key := range path {
		below := mapping(settings[key])
		if below == nil {
			below = map[string]any{}
			settings[key] = below
		}
		settings = below
	}
	return settings
}
