package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// A stack file of any content ends in problems or in a config, never in both or neither; and what was accepted is
// accepted again after a round through YAML.
func FuzzParse(f *testing.F) {
	for _, directory := range []string{"valid", "invalid"} {
		paths, err := filepath.Glob(filepath.Join("testdata", directory, "*.yaml"))
		require.NoError(f, err)
		require.NotEmpty(f, paths)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(f, err)
			f.Add(text, []byte("config: {}"))
		}
	}
	f.Fuzz(func(t *testing.T, text, sibling []byte) {
		keys, err := stackFileKeys(text)
		if err != nil {
			return
		}
		input := Input{Stack: "homelab", Keys: keys}
		if other, err := stackFileKeys(sibling); err == nil {
			input.Siblings = map[string]map[string]any{"other": other}
		}
		cfg, err := Parse(input)
		if err != nil {
			var problems Problems
			require.True(t, errors.As(err, &problems))
			require.NotEmpty(t, problems)
			require.Nil(t, cfg)
			for _, problem := range problems {
				require.NotEmpty(t, problem.Rule)
				require.NotEmpty(t, problem.Fix)
			}
			return
		}
		require.NotNil(t, cfg)
		again, err := yaml.Marshal(map[string]any{"config": sealedAsText(keys)})
		require.NoError(t, err)
		keys, err = stackFileKeys(again)
		require.NoError(t, err)
		second, err := Parse(Input{Stack: "homelab", Keys: keys})
		require.NoError(t, err)
		require.Equal(t, cfg, second)
	})
}

// sealedAsText is the inverse of markEncrypted.
func sealedAsText(tree any) any {
	switch tree := tree.(type) {
	case Encrypted:
		return map[string]any{"secure": tree.Value}
	case map[string]any:
		plain := make(map[string]any, len(tree))
		for key, value := range tree {
			plain[key] = sealedAsText(value)
		}
		return plain
	case []any:
		plain := make([]any, len(tree))
		for i, value := range tree {
			plain[i] = sealedAsText(value)
		}
		return plain
	}
	return tree
}

// BenchmarkParse reads, decodes, defaults and checks the largest stack file of the project.
func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := ParseStackFile("../Pulumi.homelab.yaml"); err != nil {
			b.Fatal(err)
		}
	}
}
