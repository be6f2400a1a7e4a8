package rehearsal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
)

// trial runs a small program of the test's own.
func trial(t *testing.T, program pulumi.RunFunc) *Session {
	t.Helper()
	root := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	write("Pulumi.yaml", "name: trial\nruntime: go\n")
	write("Pulumi.dev.yaml", "config: {}\n")
	real, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(filepath.Join(real, "bin"), filepath.Join(root, "bin")))
	session, err := Open(t.Context(), Options{Root: root, Stack: "dev", Program: program})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close()) })
	return session
}

func TestTrial(t *testing.T) {
	session := trial(t, func(ctx *pulumi.Context) error {
		install, err := remote.NewCommand(ctx, "install", &remote.CommandArgs{
			Connection: remote.ConnectionArgs{Host: pulumi.String("192.0.2.1")},
			Create:     pulumi.String("true"),
		}, pulumi.AdditionalSecretOutputs([]string{"stdout"}))
		if err != nil {
			return err
		}
		provider, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{
			Kubeconfig: install.Stdout, ClusterIdentifier: pulumi.String("trial"),
			EnableSecretMutable: pulumi.Bool(true),
		})
		if err != nil {
			return err
		}
		password, err := random.NewRandomPassword(ctx, "password", &random.RandomPasswordArgs{Length: pulumi.Int(20)})
		if err != nil {
			return err
		}
		_, err = corev1.NewSecret(ctx, "secret", &corev1.SecretArgs{
			Metadata:   metav1.ObjectMetaArgs{Namespace: pulumi.String("default"), Name: pulumi.String("s")},
			StringData: pulumi.StringMap{"password": password.Result},
		}, pulumi.Provider(provider))
		return err
	})
	session.cluster.install()
	result, err := session.Preview(t.Context())
	t.Log(session.Log())
	require.NoError(t, err)
	t.Log(result.Steps)
	result, err = session.Up(t.Context())
	t.Log(session.Log())
	require.NoError(t, err)
	t.Log(result)
	state, _, err := session.Export(t.Context())
	require.NoError(t, err)
	t.Log(string(state))
	result, err = session.Up(t.Context())
	require.NoError(t, err)
	require.Empty(t, result.Steps)
}
