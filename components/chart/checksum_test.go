package chart

import (
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChecksum(t *testing.T) {
	t.Parallel()
	base := checksum("key", []string{"ab", "c"})
	assert.Len(t, base, 2*checksumBytes)
	assert.Equal(t, base, checksum("key", []string{"ab", "c"}))
	others := map[string]string{
		"another key":      checksum("yek", []string{"ab", "c"}),
		"another secret":   checksum("key", []string{"ab", "d"}),
		"other boundaries": checksum("key", []string{"a", "bc"}),
		"another order":    checksum("key", []string{"c", "ab"}),
		"one more":         checksum("key", []string{"ab", "c", ""}),
	}
	for name, other := range others {
		assert.NotEqual(t, base, other, name)
	}
}

// A checksum has to be plain, or it could not stand in values.
func TestChecksumIsAllowedInValues(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var key string
	r, err := run(t, func(ctx *pulumi.Context) error {
		made, err := NewChecksumKey(ctx, "checksum-key")
		if err != nil {
			return err
		}
		assert.True(t, pulumi.IsSecret(made), "the key itself is secret")
		made.ApplyT(func(k string) string {
			mu.Lock()
			defer mu.Unlock()
			key = k
			return k
		})
		d := delivery()
		d.ChecksumKey = made
		password := pulumi.ToSecret(pulumi.String("generated")).(pulumi.StringOutput)
		_, err = New(ctx, "site", &Args{
			Delivery: d, Chart: "web", Namespace: pulumi.String("web"), Values: Values{"replicas": 1},
			SecretChecksums: map[string]pulumi.StringInput{"podAnnotations": d.Checksum(password)},
		})
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, key)
	assert.Equal(t, map[string]any{
		"replicas": 1.0, "podAnnotations": map[string]any{"checksum/secrets": checksum(key, []string{"generated"})},
	}, r.inputs(t, "site-release")["values"])
}
