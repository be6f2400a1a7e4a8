package rehearsal

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestChanges takes one stack through changes of its configuration that users make, and one they must not.
func TestChanges(t *testing.T) {
	t.Parallel()
	session, err := Open(t.Context(), Options{Stack: "staging", Program: Project})
	requireCLI(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close()) })
	_, err = session.Up(t.Context())
	require.NoError(t, err, session.Log())

	edit := func(change func(settings map[string]any)) (undo func() error) {
		undo, err := session.Edit(func(content []byte) ([]byte, error) { return Variant(content, change) })
		require.NoError(t, err)
		return undo
	}

	// What is delivered by Argo CD stays with Argo CD.
	undo := edit(func(settings map[string]any) { Section(settings, "homelab-ai:gitops")["enabled"] = false })
	_, err = session.Preview(t.Context())
	require.Error(t, err)
	_, err = session.Up(t.Context())
	require.Error(t, err)
	require.Contains(t, session.Log(), "gitops.enabled: false is refused")
	require.NoError(t, undo())
	result, err := session.Up(t.Context())
	require.NoError(t, err, session.Log())
	require.Empty(t, result.Steps, "the refused update has left something behind")

	// A service that is switched off loses its workload alone, and gets the same back.
	undo = edit(func(settings map[string]any) {
		Section(settings, "homelab-ai:services", "ollama")["enabled"] = false
		Section(settings, "homelab-ai:services", "openWebUI")["enabled"] = false
	})
	off, err := session.Up(t.Context())
	require.NoError(t, err, session.Log())
	require.NotEmpty(t, off.Steps)
	for _, step := range off.Steps {
		if step.Type == "command:remote:Command" {
			continue // hosts are looked at again, and forget the name of the service
		}
		require.Equal(t, "delete", step.Op, "%+v", step)
		require.Contains(t, []string{
			"homelab-ai:chart:Chart", "kubernetes:argoproj.io/v1alpha1:Application", "kubernetes:batch/v1:Job",
			"kubernetes:networking.k8s.io/v1:Ingress",
		}, step.Type)
	}
	require.NoError(t, undo())
	on, err := session.Up(t.Context())
	require.NoError(t, err, session.Log())
	require.Len(t, on.Steps, len(off.Steps))

	// A new flow of a namespace replaces nothing in it: its name stays known in the preview.
	edit(func(settings map[string]any) { settings["homelab-ai:chartMirror"] = "https://192.168.1.9/charts" })
	flow, err := session.Preview(t.Context())
	require.NoError(t, err, session.Log())
	require.True(t, slices.ContainsFunc(flow.Steps, func(s Step) bool {
		return s.Op == "create" && strings.HasSuffix(s.Type, ":NetworkPolicy")
	}), "%+v", flow.Steps)
	for _, step := range flow.Steps {
		require.NotContains(t, step.Op, "replace", "%+v", step)
		require.NotEqual(t, "delete", step.Op, "%+v", step)
	}
}
