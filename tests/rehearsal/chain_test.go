package rehearsal

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/stretchr/testify/require"
)

func TestLongestChain(t *testing.T) {
	urn := func(name string) resource.URN {
		return resource.NewURN("s", "p", "", "command:remote:Command", name)
	}
	made := func(name string, needs ...string) apitype.ResourceV3 {
		r := apitype.ResourceV3{URN: urn(name), Custom: true, Type: tokens.Type("command:remote:Command")}
		for _, need := range needs {
			r.Dependencies = append(r.Dependencies, urn(need))
		}
		return r
	}
	provider := resource.NewURN("s", "p", "", "pulumi:providers:kubernetes", "cluster")
	through := made("object")
	through.Provider = string(provider) + "::id"
	resources := []apitype.ResourceV3{
		made("a"), made("b", "a"), made("side"), made("c", "b", "side"),
		{URN: provider, Custom: true, Type: "pulumi:providers:kubernetes", Dependencies: []resource.URN{urn("c")}},
		through,
	}
	require.Equal(t, []resource.URN{urn("a"), urn("b"), urn("c"), urn("object")}, LongestChain(resources))
	require.True(t, DependsOn(resources, urn("object"), urn("a")))
	require.False(t, DependsOn(resources, urn("a"), urn("side")))
}

func TestFormsFindASecretAtEveryOffset(t *testing.T) {
	const secret = "correct horse battery staple"
	for _, before := range []string{"", "a", "ab", "abc"} {
		encoded := base64.StdEncoding.EncodeToString([]byte(before + secret + "after"))
		found := false
		for _, needle := range forms(secret)["base64"] {
			found = found || strings.Contains(encoded, needle)
		}
		require.True(t, found, "after %q", before)
	}
}

func TestNextPatch(t *testing.T) {
	for version, want := range map[string]string{
		"v1.36.4+k3s1": "v1.36.5+k3s1", "1.77.0": "1.77.1", "v0.26.9": "v0.26.10",
	} {
		got, err := nextPatch(version)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := nextPatch("newest")
	require.Error(t, err)
}
