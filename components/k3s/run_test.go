package k3s

import (
	"crypto/rand"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRunAsksTheFirstServer(t *testing.T) {
	cfg := lab(t, "lab-0=server", "lab-1=agent")
	r, secret := newRecorder(t), rand.Text()
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		cluster, err := New(ctx, "k3s", &Args{Config: cfg})
		if err != nil {
			return err
		}
		_, err = cluster.Run(ctx, "seed", &Script{
			Verb: "some-seed", Text: `"$k3s" kubectl get nodes`,
			Parameters: map[string]pulumi.StringInput{"PASSWORD": pulumi.ToSecret(pulumi.String(secret)).(pulumi.StringOutput)},
		})
		return err
	}, pulumi.WithMocks("homelab-ai", cfg.Stack, r))
	require.NoError(t, err)

	inputs := r.resources["seed"].Inputs
	create := inputs["create"].StringValue()
	assert.Contains(t, create, "homelab-ai some-seed ")
	assert.Contains(t, create, hostLock)
	assert.NotContains(t, create, secret)
	assert.True(t, inputs["stdin"].ContainsSecrets())
	stdin := inputs["stdin"].SecretValue().Element.StringValue()
	assert.Contains(t, stdin, "PASSWORD='"+secret+"'\n")
	assert.Contains(t, stdin, `"$k3s" kubectl get nodes`)
	assert.Regexp(t, `#end$`, stdin)
	assert.Equal(t, cfg.Cluster.Nodes[0].Host, inputs["connection"].SecretValue().Element.ObjectValue()["host"].StringValue())
}

func TestRunRefusesWhatHasNoName(t *testing.T) {
	for _, script := range []*Script{nil, {Text: "true"}, {Verb: "Seed", Text: "true"}, {Verb: "a; b", Text: "true"}, {Verb: "seed"}} {
		_, err := (&Cluster{}).Run(nil, "seed", script)
		assert.ErrorContains(t, err, "seed")
	}
}
