package rehearsal

import (
	"errors"
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

// requireCLI skips a test where no CLI is at hand, unless REHEARSAL_REQUIRE is set.
func requireCLI(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrNoCLI) && os.Getenv("REHEARSAL_REQUIRE") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

// open opens a session on a small program of the test's own.
func open(t *testing.T, program pulumi.RunFunc) *Session {
	t.Helper()
	root := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	write("Pulumi.yaml", "name: small\nruntime: go\n")
	write("Pulumi.dev.yaml", "config: {}\n")
	project, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(filepath.Join(project, "bin"), filepath.Join(root, "bin")))
	session, err := Open(t.Context(), Options{Root: root, Stack: "dev", Program: program})
	requireCLI(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close()) })
	return session
}

// small is a program with one resource of each simulated provider; its fields are what the tests change.
type small struct {
	text      string // of the command
	trigger   string
	namespace string
	leak      bool
}

func (s *small) run(ctx *pulumi.Context) error {
	args := &remote.CommandArgs{
		Connection: remote.ConnectionArgs{Host: pulumi.String("192.0.2.1"), HostKey: pulumi.String("ssh-ed25519 AAAA")},
		Create:     pulumi.String("sh homelab-ai install " + s.text),
	}
	if s.trigger != "" {
		args.Triggers = pulumi.Array{pulumi.String(s.trigger)}
	}
	step := func(name, text string, before ...pulumi.Resource) (*remote.Command, error) {
		return remote.NewCommand(ctx, name, &remote.CommandArgs{
			Connection: args.Connection, Create: pulumi.String("sh homelab-ai " + text),
		}, pulumi.DependsOn(before), pulumi.AdditionalSecretOutputs([]string{"stdout"}))
	}
	ca, err := step("ca", "ca 1")
	if err != nil {
		return err
	}
	prepare, err := step("prepare", "prepare 1", ca)
	if err != nil {
		return err
	}
	install, err := remote.NewCommand(ctx, "install", args, pulumi.DependsOn([]pulumi.Resource{prepare}))
	if err != nil {
		return err
	}
	kubeconfig, err := step("kubeconfig", "kubeconfig 1", install)
	if err != nil {
		return err
	}
	provider, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{
		Kubeconfig: kubeconfig.Stdout, ClusterIdentifier: pulumi.String("small"), EnableSecretMutable: pulumi.Bool(true),
	})
	if err != nil {
		return err
	}
	password, err := random.NewRandomPassword(ctx, "password", &random.RandomPasswordArgs{Length: pulumi.Int(24)})
	if err != nil {
		return err
	}
	if s.leak {
		ctx.Export("leak", pulumi.Unsecret(password.Result))
	}
	_, err = corev1.NewSecret(ctx, "secret", &corev1.SecretArgs{
		Metadata:   metav1.ObjectMetaArgs{Namespace: pulumi.String(s.namespace), Name: pulumi.String("small")},
		StringData: pulumi.StringMap{"password": password.Result},
	}, pulumi.Provider(provider))
	return err
}

func TestEngineAppliesTheProvidersRules(t *testing.T) {
	t.Parallel()
	program := &small{text: "1", namespace: "default"}
	session := open(t, program.run)

	up := func() []Step {
		result, err := session.Up(t.Context())
		require.NoError(t, err, session.Log())
		return result.Steps
	}
	require.Len(t, up(), 8, "four commands, a provider, a password, a secret and the stack")
	require.Empty(t, up(), "nothing changed")

	program.text = "2"
	require.Equal(t, []Step{{"command:remote:Command", "install", "update"}}, up(), "a changed text updates in place")

	program.trigger = "now"
	require.Contains(t, up(), Step{"command:remote:Command", "install", "replace"}, "a trigger replaces")

	leaks, err := session.Leaks()
	require.NoError(t, err)
	require.Empty(t, leaks)
	require.GreaterOrEqual(t, len(session.Secrets()), 5, "CA key, token, kubeconfig, password and its hash")

	program.leak = true
	up()
	leaks, err = session.Leaks()
	require.NoError(t, err)
	require.NotEmpty(t, leaks, "a planted leak must be found")
	for _, leak := range leaks {
		require.Equal(t, "password.result", leak.Secret)
	}
}

func TestClusterRefusesWhatComesTooEarly(t *testing.T) {
	t.Parallel()
	session := open(t, (&small{text: "1", namespace: "nowhere"}).run)
	_, err := session.Up(t.Context())
	require.ErrorContains(t, err, `namespaces "nowhere" not found`)
}
