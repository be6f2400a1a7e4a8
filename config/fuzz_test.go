package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// A stack file of any content ends in problems or in a config, never in both or neither; and what was accepted is
// accepted again after a round through JSON.
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
		eitherConfigOrProblems(t, input)
	})
}

// FuzzKeys puts one value of any content at any single key of an accepted config, where FuzzParse mostly makes bad YAML.
func FuzzKeys(f *testing.F) {
	var paths [][]any
	everyPath(reflect.TypeFor[Config](), nil, func(keys []any, _ bool) { paths = append(paths, keys) })
	require.Greater(f, len(paths), 100)
	slices.SortFunc(paths, func(a, b []any) int { return strings.Compare(fmt.Sprint(a...), fmt.Sprint(b...)) })
	for i, value := range []string{
		`""`, "-1", "0", "1e9", "1.5", "null", "[]", "{}", "[null]", "[[]]", "{a: {b: c}}", "{secure: v1:x}", "{secure: 1}", "true", ".inf",
		"TZ=", "CRON_TZ=UTC", "@every 1s", "0.0.0.0/0", "10.0.0.0/33", "::1", "::ffff:192.168.1.1", "192.168.1.1-", "-", "255.255.255.255-0.0.0.0",
		"v1", "v1.2.3+k3s1", "a:b:c", "://", "https://[", "http://[::1%25eth0]/", "ssh-ed25519 AAAA", "1Ei", "9223372036854775808", "19.5.3.1",
		`"\x00"`, "é.example", "a..b", "/../..",
	} {
		for where := range paths {
			if where%len(paths) == i { // each seed at one key, so that seeds stay few
				f.Add(uint16(where), value)
			}
		}
	}
	f.Fuzz(func(t *testing.T, where uint16, value string) {
		var tree any
		text, err := yaml.YAMLToJSONStrict([]byte(value))
		if err == nil {
			tree, err = decodeJSON(text)
		}
		if err != nil {
			tree = strings.ToValidUTF8(value, "") // as whatever comes out of YAML or JSON is
		}
		keys := minimal(t)
		planted := plant(paths[int(where)%len(paths)], markEncrypted(tree)).(map[string]any)
		for key, item := range prefixed(planted) {
			keys[key] = lay(keys[key], item)
		}
		eitherConfigOrProblems(t, Input{Stack: "homelab", Keys: keys, Siblings: map[string]map[string]any{"other": keys}})
		eitherConfigOrProblems(t, Input{Stack: "homelab", Keys: keys})
	})
}

// eitherConfigOrProblems parses, and parses what was accepted once more.
func eitherConfigOrProblems(t *testing.T, input Input) {
	t.Helper()
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
	again, err := json.Marshal(sealedAsText(input.Keys))
	require.NoError(t, err)
	keys, err := decodeJSON(again)
	require.NoError(t, err)
	second, err := Parse(Input{Stack: input.Stack, Keys: markEncrypted(keys).(map[string]any)})
	require.NoError(t, err)
	require.Equal(t, cfg, second)
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
