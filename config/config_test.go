package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The stack files are accepted as they are committed.
func TestStackFiles(t *testing.T) {
	for _, stack := range []string{"staging", "homelab"} {
		cfg, err := ParseStackFile("../Pulumi." + stack + ".yaml")
		require.NoError(t, err)
		assert.Equal(t, stack, cfg.Stack)
		assert.Equal(t, stack == "homelab", cfg.Protected())
		assert.Equal(t, stack == "homelab", cfg.HasGPU("nvidia"))
	}
}
