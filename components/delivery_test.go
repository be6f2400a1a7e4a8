package components

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/components/internal/recording"
	"github.com/homelab-ai/homelab-ai/config"
)

func TestDeliveryIsKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, stashed string
		gitops        bool
		refused       string
	}{
		{name: "first update, Argo CD", gitops: true},
		{name: "first update, Helm", gitops: false},
		{name: "unchanged Argo CD", stashed: byArgoCD, gitops: true},
		{name: "unchanged Helm", stashed: byHelm, gitops: false},
		{name: "turned off", stashed: byArgoCD, gitops: false, refused: "gitops.enabled: false is refused"},
		{name: "turned on", stashed: byHelm, gitops: true, refused: "gitops.enabled: true is refused"},
	} {
		for _, preview := range []bool{true, false} {
			graph := &recording.Graph{Stashed: c.stashed, Preview: preview}
			err := graph.Run(func(ctx *pulumi.Context) error {
				return keepDelivery(ctx, &config.Config{GitOps: config.GitOps{Enabled: &c.gitops}})
			})
			if c.refused == "" {
				require.NoError(t, err, c.name)
			} else {
				require.ErrorContains(t, err, c.refused, c.name)
			}
			assert.Equal(t, []string{"delivery"}, graph.Names("pulumi:index:Stash"))
		}
	}
}
