package components

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/config"
)

func TestWhatIsNotDeployedIsNamed(t *testing.T) {
	t.Parallel()
	cfg, err := config.ParseStackFile(filepath.Join("..", "Pulumi.homelab.yaml"))
	require.NoError(t, err)
	assert.Equal(t,
		[]string{"services.gitlab", "services.jupyter", "services.monitoring", "security.scanning"}, undeployed(cfg))

	off := false
	cfg.Services.GitLab.Enabled, cfg.Services.Jupyter.Enabled, cfg.Services.Monitoring.Enabled = &off, &off, &off
	cfg.Security.Scanning = &off
	assert.Empty(t, undeployed(cfg))
}
