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
		assert.NoError(t, cfg.Validate())
	}
}

// A program that changes a config can have it checked again.
func TestValidateAChangedConfig(t *testing.T) {
	cfg, err := ParseStackFile("../Pulumi.homelab.yaml")
	require.NoError(t, err)
	cfg.Cluster.Nodes[0].HostKey = ""
	cfg.Network.LoadBalancerRange = "192.168.1.20-192.168.1.10"
	var problems Problems
	require.ErrorAs(t, cfg.Validate(), &problems)
	assert.Equal(t, []string{"host-key-missing@cluster.nodes[0].hostKey", "range-reversed@network.loadBalancerRange"}, rulesAt(problems))
}
