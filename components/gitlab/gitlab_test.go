package gitlab

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/components/chart"
	"github.com/homelab-ai/homelab-ai/components/internal/recording"
	"github.com/homelab-ai/homelab-ai/components/k3s"
	"github.com/homelab-ai/homelab-ai/components/network"
	"github.com/homelab-ai/homelab-ai/components/tenant"
	"github.com/homelab-ai/homelab-ai/config"
)

const (
	secretType  = "kubernetes:core/v1:Secret"
	claimType   = "kubernetes:core/v1:PersistentVolumeClaim"
	namespaces  = "kubernetes:core/v1:Namespace"
	ingressType = "kubernetes:networking.k8s.io/v1:Ingress"
	commandType = "command:remote:Command"
)

// firstServer is a host whose commands print what the real ones print.
type firstServer struct {
	tokens map[string]string
	deploy string
}

func (h *firstServer) Run(
	ctx *pulumi.Context, name string, script *k3s.Script, opts ...pulumi.ResourceOption,
) (*remote.Command, error) {
	command, err := remote.NewCommand(ctx, name, &remote.CommandArgs{
		Connection: remote.ConnectionArgs{Host: pulumi.String("lab-0")},
		Create:     pulumi.String(script.Verb),
		Stdin: pulumi.All(script.Parameters["ACCOUNT"], script.Parameters["PROGRAM"]).ApplyT(func(parts []any) string {
			return parts[0].(string) + " " + parts[1].(string)
		}).(pulumi.StringOutput),
	}, opts...)
	if err == nil && script.Verb != "gitlab-seed" {
		tokens := h.tokens
		if script.Verb == "gitlab-deploy-token" {
			tokens = map[string]string{deployTokenName: h.deploy}
		}
		text, _ := json.Marshal(tokens)
		command.Stdout = pulumi.ToSecret(pulumi.String(text).ToStringOutput()).(pulumi.StringOutput)
	}
	return command, err
}

// deploy declares GitLab of a config and returns the graph and the tokens of its runners.
func deploy(t *testing.T, cfg *config.Config) (*recording.Graph, *firstServer) {
	t.Helper()
	server := &firstServer{tokens: map[string]string{}, deploy: "gldt-" + randomText(t)}
	for _, name := range []string{"build", "docker"} {
		server.tokens[name] = "glrt-" + randomText(t)
	}
	graph := recording.Run(t, func(ctx *pulumi.Context) error {
		on, err := recording.Provider(ctx)
		if err != nil {
			return err
		}
		clients, err := NewClients(ctx, "clients", cfg)
		if err != nil {
			return err
		}
		delivery := chart.From(cfg)
		delivery.ChecksumKey = pulumi.String("key")
		controller := &network.IngressController{}
		controller.Deployed, err = remote.NewCommand(ctx, "ingress", &remote.CommandArgs{Connection: remote.ConnectionArgs{Host: pulumi.String("x")}})
		if err != nil {
			return err
		}
		_, err = New(ctx, "gitlab", &Args{
			Config: cfg, Delivery: delivery, Surroundings: tenant.Around(cfg), Ingress: controller, Host: server,
			CACertificate: pulumi.String("certificate"), Clients: clients, OllamaURL: testOllamaURL,
		}, on)
		return err
	})
	return graph, server
}

// names are the names in Kubernetes of all objects of a type, in namespace/name.
func names(t *testing.T, graph *recording.Graph, token string) []string {
	t.Helper()
	var found []string
	for _, name := range graph.Names(token) {
		meta := recording.At(t, graph.Inputs(t, name), "metadata").(map[string]any)
		namespace, _ := meta["namespace"].(string)
		found = append(found, strings.TrimPrefix(namespace+"/"+meta["name"].(string), "/"))
	}
	slices.Sort(found)
	return found
}

func TestEverythingThatRuns(t *testing.T) {
	t.Parallel()
	graph, _ := deploy(t, testConfig())
	assert.Equal(t, []string{"gitlab", "gitlab-build", "gitlab-ci", "gitlab-runner"}, names(t, graph, namespaces))
	assert.Equal(t, []string{"gitlab-build/cache", "gitlab-ci/cache", "gitlab/data"}, names(t, graph, claimType))
	assert.Equal(t, []string{"gitlab/gitlab.lab.test", "gitlab/registry.lab.test"}, names(t, graph, ingressType))
	assert.Equal(t,
		[]string{"argocd/repository-lab-example", "gitlab-runner/gitlab-ca", "gitlab-runner/runner-build", "gitlab-runner/runner-docker", "gitlab/gitlab"},
		names(t, graph, secretType))
	assert.ElementsMatch(t, []string{"gitlab", "gitlab-runner", "gitlab-build", "gitlab-ci"}, Namespaces(testConfig()))
	for _, namespace := range graph.Names(namespaces) {
		meta := graph.Inputs(t, namespace)["metadata"].(map[string]any)
		enforced := meta["labels"].(map[string]any)["pod-security.kubernetes.io/enforce"]
		want := map[string]string{
			"gitlab": "baseline", "gitlab-runner": "restricted", "gitlab-build": "privileged", "gitlab-ci": "privileged",
		}[meta["name"].(string)]
		assert.Equal(t, want, enforced, meta["name"])
	}
	// What the level of gitlab-build does not refuse, the policy does; gitlab-ci alone has none.
	binding := graph.Names("kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding")
	require.Len(t, binding, 1)
	assert.Equal(t, BuildNamespace, recording.At(t, graph.Inputs(t, binding[0]),
		"spec", "matchResources", "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name"))
}

func TestSeededAfterGitLabRunsAndRunnersAfterTheirToken(t *testing.T) {
	t.Parallel()
	for _, gitops := range []bool{true, false} {
		cfg := testConfig()
		cfg.GitOps.Enabled = &gitops
		graph, _ := deploy(t, cfg)
		kind := "release"
		if gitops {
			kind = "application"
		}
		workload := "gitlab-chart-" + kind
		assert.True(t, graph.DependsOn(t, "gitlab-seed", workload), kind)
		assert.True(t, graph.DependsOn(t, "gitlab-runner-tokens", workload), kind)
		assert.True(t, graph.DependsOn(t, "gitlab-build-chart-"+kind, "gitlab-runner-tenant-runner-build-secret"), kind)
		assert.True(t, graph.DependsOn(t, workload, "gitlab-tenant-data-claim"), kind)
	}
}

func TestArgoCDDeploysTheExample(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	graph, server := deploy(t, cfg)
	credentials := graph.Inputs(t, "gitlab-example-repository")
	assert.Equal(t, "repository", recording.At(t, credentials, "metadata", "labels", "argocd.argoproj.io/secret-type"))
	password, err := base64.StdEncoding.DecodeString(recording.At(t, credentials, "data", "password").(string))
	require.NoError(t, err)
	assert.Equal(t, server.deploy, string(password))
	url, err := base64.StdEncoding.DecodeString(recording.At(t, credentials, "data", "url").(string))
	require.NoError(t, err)

	spec := recording.At(t, graph.Inputs(t, "gitlab-example-application"), "spec")
	assert.Equal(t, "user", recording.At(t, spec, "project"))
	assert.Equal(t, "apps", recording.At(t, spec, "destination", "namespace"))
	assert.Equal(t, string(url), recording.At(t, spec, "source", "repoURL"))
	assert.True(t, graph.DependsOn(t, "gitlab-example-token", "gitlab-seed"), "the project is there first")
	assert.True(t, graph.DependsOn(t, "gitlab-example-application", "gitlab-example-repository"))

	cfg.GitOps.Enabled = pointer(false)
	graph, _ = deploy(t, cfg)
	assert.NotContains(t, graph.Names(""), "gitlab-example-application")
}

func TestSecretsStayOutOfValues(t *testing.T) {
	t.Parallel()
	for _, gitops := range []bool{true, false} {
		cfg := testConfig()
		cfg.GitOps.Enabled = &gitops
		graph, server := deploy(t, cfg)
		secrets := graph.Generated()
		for _, token := range server.tokens {
			secrets = append(secrets, token)
		}
		secrets = append(secrets, server.deploy)
		require.Len(t, secrets, 4*len(applications(cfg))+2+3,
			"ids and secrets of clients and root, each with its hash, and three tokens")

		looked := 0
		for _, token := range []string{"kubernetes:helm.sh/v3:Release", "kubernetes:argoproj.io/v1alpha1:Application"} {
			for _, name := range graph.Names(token) {
				looked++
				text, err := json.Marshal(graph.Inputs(t, name))
				require.NoError(t, err)
				for _, secret := range secrets {
					assert.NotContains(t, string(text), secret, name)
					assert.NotContains(t, string(text), base64.StdEncoding.EncodeToString([]byte(secret)), name)
				}
			}
		}
		want := 3 // GitLab and two classes of runners
		if gitops {
			want++ // the example
		}
		assert.Equal(t, want, looked)
		for _, name := range graph.Names(commandType) {
			if name == "gitlab-seed" {
				assert.True(t, graph.Properties(t, name)["stdin"].ContainsSecrets())
			}
		}
		runner := graph.Inputs(t, "gitlab-runner-tenant-runner-build-secret")
		token, err := base64.StdEncoding.DecodeString(recording.At(t, runner, "data", "runner-token").(string))
		require.NoError(t, err)
		assert.Equal(t, server.tokens["build"], string(token))
		assert.Equal(t, "", recording.At(t, runner, "data", "runner-registration-token"))
	}
}

func TestOffIsNotGone(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Services.GitLab.Enabled, cfg.Services.GitLab.Runners.Enabled = pointer(false), pointer(false)
	cfg.SignIn.Provider, cfg.Protect = "local", pointer(true)
	graph, _ := deploy(t, cfg)
	assert.Equal(t, []string{"gitlab"}, names(t, graph, namespaces))
	assert.Equal(t, []string{"gitlab/data"}, names(t, graph, claimType))
	assert.Equal(t, []string{"gitlab/gitlab"}, names(t, graph, secretType))
	assert.Empty(t, graph.Names(ingressType))
	assert.Equal(t, []string{"ingress"}, graph.Names(commandType))
	assert.True(t, graph.Protected(t, "gitlab-tenant-data-claim"))
	assert.True(t, graph.Protected(t, "gitlab-root-password"))

	cfg.Purge = []string{"gitlab"}
	graph, _ = deploy(t, cfg)
	assert.Empty(t, graph.Names(namespaces))
	assert.Empty(t, graph.Names(claimType))
}

func TestWithoutPrivilegedRunners(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Services.GitLab.Runners.Privileged = pointer(false)
	graph, _ := deploy(t, cfg)
	assert.Equal(t, []string{"gitlab", "gitlab-build", "gitlab-runner"}, names(t, graph, namespaces))
	assert.NotContains(t, variables(cfg, testOllamaURL), "LAB_DOCKER")
	declared := classes(cfg)
	require.Len(t, declared, 1)
	assert.Equal(t, cfg.Services.GitLab.Runners.Concurrent, declared[0].concurrent)
}

func TestClassesShareTheJobs(t *testing.T) {
	t.Parallel()
	for concurrent, want := range map[int][2]int{1: {1, 1}, 2: {1, 1}, 3: {2, 1}, 8: {4, 4}} {
		cfg := testConfig()
		cfg.Services.GitLab.Runners.Concurrent = concurrent
		declared := classes(cfg)
		assert.Equal(t, want, [2]int{declared[0].concurrent, declared[1].concurrent}, concurrent)
		assert.True(t, declared[0].untagged && !declared[0].privileged, "what asks for nothing gets no privileges")
		assert.True(t, declared[1].privileged && !declared[1].untagged)
	}
}

func TestClients(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	apps := applications(cfg)
	assert.Len(t, apps, 4)
	for service, app := range apps {
		assert.Contains(t, app.scopes, "openid", service)
		assert.True(t, strings.HasPrefix(app.redirectURIs[0], "https://"), service)
	}
	cfg.GitOps.Enabled, cfg.Services.Monitoring.Enabled = pointer(false), pointer(false)
	assert.Len(t, applications(cfg), 2)

	// Somebody else signs in: no clients.
	cfg.SignIn.Provider = "oidc"
	graph := recording.Run(t, func(ctx *pulumi.Context) error {
		clients, err := NewClients(ctx, "clients", cfg)
		assert.Nil(t, clients.Of(Jupyter))
		assert.Empty(t, clients.Issuer)
		return err
	})
	assert.Empty(t, graph.Names("random:index/randomPassword:RandomPassword"))
}
