package e2e

import (
	"os"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/tests/rehearsal"
)

// previewOnNothing: with the true plugins, and a cluster and hosts that are not there yet, the preview works and shows
// what the rehearsal shows.
func (l *lab) previewOnNothing(t *testing.T, gitops bool, r *report) {
	before := l.nodes[0].files(t)
	o, err := l.stack.preview(within(t))
	if err != nil {
		l.explain(t, o)
	}
	require.NoError(t, err)
	r.firstPreview = o
	require.Empty(t, differences(before, l.nodes[0].files(t)), "a preview changed the machine")
	require.NotEmpty(t, o.changes())

	stackFile, err := os.ReadFile(l.stack.stackFile())
	require.NoError(t, err)
	session, err := rehearsal.Open(t.Context(), rehearsal.Options{Root: "../..", Stack: l.stack.name, StackFile: stackFile, Program: rehearsal.Project})
	require.NoError(t, err)
	defer func() { require.NoError(t, session.Close()) }()
	rehearsed, err := session.Preview(t.Context())
	require.NoError(t, err)
	var expected []string
	for _, s := range rehearsed.Steps {
		expected = append(expected, s.Op+" "+s.Type+" "+s.Name)
	}
	sort.Strings(expected)
	require.Equal(t, expected, o.changes())
}
