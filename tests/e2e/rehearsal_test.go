package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/homelab-ai/homelab-ai/tests/rehearsal"
)

// previewOnNothing: with the true plugins, and a cluster and hosts that are not there yet, the preview works and shows
// what the rehearsal shows.
func (l *lab) previewOnNothing(t *testing.T, r *report) {
	before := l.nodes[0].files(t)
	o, err := l.stack.preview(within(t))
	if err != nil {
		l.explain(t, o)
	}
	require.NoError(t, err)
	r.firstPreview = o
	require.Empty(t, differences(before, l.nodes[0].files(t)), "a preview changed the machine")
	require.NotEmpty(t, o.changes())

	var file map[string]any
	raw, err := os.ReadFile(l.stack.stackFile())
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(raw, &file))
	delete(file, "encryptionsalt") // belongs to this run's passphrase
	stackFile, err := yaml.Marshal(file)
	require.NoError(t, err)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	session, err := rehearsal.Open(t.Context(), rehearsal.Options{Root: root, Stack: l.stack.name, StackFile: stackFile, Program: rehearsal.Project})
	require.NoError(t, err)
	defer func() { require.NoError(t, session.Close()) }()
	rehearsed, err := session.Preview(t.Context())
	require.NoError(t, err)
	expected := map[string]string{}
	for _, s := range rehearsed.Steps {
		expected[s.Op+" "+s.Type+" "+s.Name] = ""
	}
	actual := map[string]string{}
	for _, change := range o.changes() {
		// The engine makes a default provider of each plugin that it loads; simulated ones are not loaded.
		if !strings.Contains(change, " pulumi:providers:") || !strings.Contains(change, " default") {
			actual[change] = ""
		}
	}
	require.NotEmpty(t, expected)
	require.Empty(t, differences(expected, actual), "the preview differs from the rehearsal's")
}
