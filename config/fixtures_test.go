package config

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// declaredRules returns the constants of rules.go.
func declaredRules(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "rules.go", nil, 0)
	require.NoError(t, err)
	var rules []string
	ast.Inspect(file, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			name, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			rules = append(rules, name)
		}
		return true
	})
	return rules
}

// fixtures returns the fixtures of a directory by name.
func fixtures(t *testing.T, directory string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", directory, "*.yaml"))
	require.NoError(t, err)
	found := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		found[strings.TrimSuffix(filepath.Base(path), ".yaml")] = string(text)
	}
	return found
}

// load writes a fixture as the stack file of homelab, with its further documents as other stacks beside it.
func load(t *testing.T, fixture string) (*Config, error) {
	t.Helper()
	directory := t.TempDir()
	for i, document := range strings.Split(fixture, "\n---\n") {
		name := "Pulumi.homelab.yaml"
		if i > 0 {
			name = fmt.Sprintf("Pulumi.other%d.yaml", i)
		}
		require.NoError(t, os.WriteFile(filepath.Join(directory, name), []byte(document), 0o600))
	}
	return ParseStackFile(filepath.Join(directory, "Pulumi.homelab.yaml"))
}

// problemsOf loads a fixture that must be refused.
func problemsOf(t *testing.T, fixture string) Problems {
	t.Helper()
	cfg, err := load(t, fixture)
	assert.Nil(t, cfg)
	var problems Problems
	require.True(t, errors.As(err, &problems), "want problems, got %v", err)
	return problems
}

func TestEachRuleHasItsFixture(t *testing.T) {
	rules := declaredRules(t)
	require.GreaterOrEqual(t, len(rules), 40)
	var named []string
	for name := range fixtures(t, "invalid") {
		named = append(named, name)
	}
	assert.ElementsMatch(t, rules, named)
}

func TestInvalidFixtures(t *testing.T) {
	for name, fixture := range fixtures(t, "invalid") {
		t.Run(name, func(t *testing.T) {
			first, _, _ := strings.Cut(fixture, "\n")
			path, ok := strings.CutPrefix(first, "# path: ")
			require.True(t, ok, "the fixture begins with the key at fault: # path: <key>")
			problems := problemsOf(t, fixture)
			require.Len(t, problems, 1, "%v", problems)
			assert.Equal(t, name, string(problems[0].Rule), "%v", problems)
			assert.Equal(t, path, problems[0].Path)
			assert.NotEmpty(t, problems[0].Fix)
			assert.Contains(t, problems.Error(), path)
		})
	}
}

func TestValidFixtures(t *testing.T) {
	valid := fixtures(t, "valid")
	require.GreaterOrEqual(t, len(valid), 8)
	for name, fixture := range valid {
		t.Run(name, func(t *testing.T) {
			cfg, err := load(t, fixture)
			require.NoError(t, err)
			assert.Equal(t, "homelab", cfg.Stack)
		})
	}
}

// fixtureKeys returns the keys of an accepted fixture.
func fixtureKeys(t testing.TB, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "valid", name+".yaml"))
	require.NoError(t, err)
	keys, err := stackFileKeys(text)
	require.NoError(t, err)
	return keys
}
