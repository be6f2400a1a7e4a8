package k3s

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/config"
)

// recorder answers registrations as the hosts would and keeps them.
type recorder struct {
	mu        sync.Mutex
	resources map[string]pulumi.MockResourceArgs
	ca        string
	token     string
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	block := func(kind string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
	}
	return &recorder{
		resources: map[string]pulumi.MockResourceArgs{},
		ca:        block("CERTIFICATE") + block("PRIVATE KEY"), token: "K10" + rand.Text(),
	}
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resources[args.Name] = args
	state := args.Inputs.Copy()
	switch args.Name {
	case "k3s-ca":
		state["stdout"] = resource.NewProperty(r.ca)
	case "k3s-token":
		state["stdout"] = resource.NewProperty(r.token)
	case "k3s-kubeconfig":
		state["stdout"] = resource.NewProperty("apiVersion: v1\nkind: Config\n")
	}
	return args.Name + "-id", state, nil
}

func (r *recorder) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, errors.New("no calls are made")
}

// deploy runs New over a config.
func deploy(t *testing.T, cfg *config.Config, ask ProbeFunc) (*recorder, error) {
	t.Helper()
	r := newRecorder(t)
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		cluster, err := New(ctx, "k3s", &Args{Config: cfg, Probe: ask})
		if err != nil {
			return err
		}
		ctx.Export("ca", cluster.CACertificate)
		ctx.Export("key", cluster.CAKey)
		ctx.Export("kubeconfig", cluster.Kubeconfig)
		return nil
	}, pulumi.WithMocks("homelab-ai", cfg.Stack, r))
	return r, err
}

// needs lists the names of what a resource was declared to depend on.
func (r *recorder) needs(name string) []string {
	var names []string
	for _, urn := range r.resources[name].RegisterRPC.GetDependencies() {
		names = append(names, urn[strings.LastIndex(urn, "::")+2:])
	}
	slices.Sort(names)
	return names
}

// reaches tells whether one resource is there before another.
func (r *recorder) reaches(from, to string) bool {
	for _, name := range r.needs(from) {
		if name == to || r.reaches(name, to) {
			return true
		}
	}
	return false
}

func (r *recorder) commands() []pulumi.MockResourceArgs {
	var found []pulumi.MockResourceArgs
	for _, args := range r.resources {
		if args.TypeToken == "command:remote:Command" {
			found = append(found, args)
		}
	}
	return found
}

func plain(value resource.PropertyValue) string {
	for value.IsSecret() {
		value = value.SecretValue().Element
	}
	if value.IsString() {
		return value.StringValue()
	}
	return ""
}

func TestCommandsFollowTheRules(t *testing.T) {
	cfg := lab(t, "lab-0=server", "lab-1=server", "lab-2=server", "lab-3=agent", "lab-4=agent")
	key := rand.Text()
	cfg.Cluster.SSH.PrivateKey = config.NewSecret(key)
	cfg.Cluster.SSH.JumpHost = &config.JumpHost{Host: "192.168.1.2", HostKey: publicKey(t), User: "jump", Port: 2222}
	protect := true
	cfg.Protect = &protect
	r, err := deploy(t, cfg, nil)
	require.NoError(t, err)
	commands := r.commands()
	require.Len(t, commands, 5+1+5+5+1+2*2+1)
	for _, command := range commands {
		inputs := command.Inputs
		// The SDK makes the whole connection secret.
		require.True(t, inputs["connection"].IsSecret(), command.Name)
		connection := inputs["connection"].SecretValue().Element.ObjectValue()
		node := cfg.Cluster.Nodes[slices.IndexFunc(cfg.Cluster.Nodes, func(n config.Node) bool {
			return n.Host == connection["host"].StringValue()
		})]
		assert.Equal(t, node.HostKey, connection["hostKey"].StringValue(), command.Name)
		assert.Equal(t, key, connection["privateKey"].StringValue(), command.Name)
		proxy := connection["proxy"].ObjectValue()
		assert.Equal(t, cfg.Cluster.SSH.JumpHost.HostKey, proxy["hostKey"].StringValue(), command.Name)
		assert.Equal(t, key, proxy["privateKey"].StringValue(), command.Name)
		assert.Equal(t, "none", inputs["logging"].StringValue(), command.Name)
		assert.False(t, inputs["addPreviousOutputInEnv"].BoolValue(), command.Name)
		assert.NotContains(t, inputs, resource.PropertyKey("triggers"), command.Name)
		assert.NotContains(t, inputs, resource.PropertyKey("environment"), command.Name)
		assert.NotEmpty(t, plain(inputs["stdin"]), command.Name)
		assert.Subset(t, command.RegisterRPC.GetAdditionalSecretOutputs(), []string{"stdout", "stderr"}, command.Name)
		assert.NotEmpty(t, command.RegisterRPC.GetCustomTimeouts().GetCreate(), command.Name)
		for _, text := range []resource.PropertyKey{"create", "update", "delete"} {
			assert.Less(t, len(plain(inputs[text])), 600, command.Name)
			assert.NotContains(t, plain(inputs[text]), r.token)
		}
		// The token travels by stdin, as a secret, and only to those who join.
		if strings.Contains(plain(inputs["stdin"]), r.token) {
			assert.True(t, inputs["stdin"].IsSecret(), command.Name)
			assert.Contains(t, []string{"k3s-install-lab-1", "k3s-install-lab-2", "k3s-install-lab-3", "k3s-install-lab-4"}, command.Name)
		}
		protected := strings.HasPrefix(command.Name, "k3s-install-") || command.Name == "k3s-ca"
		assert.Equal(t, protected, command.RegisterRPC.GetProtect(), command.Name)
		assert.Equal(t, strings.HasPrefix(command.Name, "k3s-install-") || strings.HasPrefix(command.Name, "k3s-preflight-") ||
			strings.HasPrefix(command.Name, "k3s-drain-"), plain(inputs["delete"]) != "", command.Name)
	}
	var provider pulumi.MockResourceArgs
	for _, args := range r.resources {
		if args.TypeToken == "pulumi:providers:kubernetes" {
			provider = args
		}
	}
	assert.Equal(t, "staging-1", plain(provider.Inputs["clusterIdentifier"]))
	assert.True(t, provider.Inputs["kubeconfig"].IsSecret())
	assert.True(t, provider.Inputs["enableSecretMutable"].BoolValue())
	assert.True(t, provider.Inputs["enableConfigMapMutable"].BoolValue())
}

func TestOrderOfSteps(t *testing.T) {
	cfg := lab(t, "lab-0=server", "lab-1=server", "lab-2=server", "lab-3=agent", "lab-4=agent")
	r, err := deploy(t, cfg, nil)
	require.NoError(t, err)
	for _, node := range cfg.Cluster.Nodes {
		assert.Empty(t, r.needs("k3s-preflight-"+node.Name), "hosts are looked at side by side")
		for _, other := range cfg.Cluster.Nodes {
			assert.True(t, r.reaches("k3s-prepare-"+node.Name, "k3s-preflight-"+other.Name), "nothing changes before all hosts are fit")
		}
		assert.True(t, r.reaches("k3s-prepare-"+node.Name, "k3s-ca"))
		assert.True(t, r.reaches("k3s-install-"+node.Name, "k3s-prepare-"+node.Name))
		assert.True(t, r.reaches("k3s-kubeconfig", "k3s-install-"+node.Name))
	}
	assert.True(t, r.reaches("k3s-install-lab-2", "k3s-install-lab-1"), "servers come one after another")
	assert.True(t, r.reaches("k3s-install-lab-1", "k3s-install-lab-0"))
	for _, pair := range [][2]string{{"lab-3", "lab-4"}, {"lab-4", "lab-3"}} {
		assert.True(t, r.reaches("k3s-install-"+pair[0], "k3s-install-lab-2"), "agents come after the servers")
		assert.True(t, r.reaches("k3s-install-"+pair[0], "k3s-drain-"+pair[0]))
		assert.True(t, r.reaches("k3s-ready-"+pair[0], "k3s-install-"+pair[0]))
		for _, step := range []string{"drain", "install", "ready"} {
			assert.False(t, r.reaches("k3s-"+step+"-"+pair[0], "k3s-install-"+pair[1]), "agents come side by side")
		}
	}
	for _, joined := range []string{"lab-1", "lab-2", "lab-3", "lab-4"} {
		assert.True(t, r.reaches("k3s-install-"+joined, "k3s-token"))
	}
}

func TestASingleNodeNeedsNoToken(t *testing.T) {
	r, err := deploy(t, lab(t, "lab-0=server"), nil)
	require.NoError(t, err)
	var names []string
	for _, command := range r.commands() {
		names = append(names, command.Name)
	}
	assert.ElementsMatch(t, []string{"k3s-preflight-lab-0", "k3s-ca", "k3s-prepare-lab-0", "k3s-install-lab-0", "k3s-kubeconfig"}, names)
}

func TestHostKeysAreDemanded(t *testing.T) {
	cfg := lab(t, "lab-0=server")
	cfg.Cluster.Nodes[0].HostKey = ""
	_, err := deploy(t, cfg, nil)
	require.ErrorContains(t, err, "hostKey of the node lab-0 is missing")

	cfg.Cluster.SSH.InsecureIgnoreHostKeys = true
	r, err := deploy(t, cfg, nil)
	require.NoError(t, err)
	assert.NotContains(t, r.resources["k3s-install-lab-0"].Inputs["connection"].SecretValue().Element.ObjectValue(), resource.PropertyKey("hostKey"))

	cfg = lab(t, "lab-0=server")
	cfg.Cluster.SSH.JumpHost = &config.JumpHost{Host: "192.168.1.2", User: "jump", Port: 22}
	_, err = deploy(t, cfg, nil)
	require.ErrorContains(t, err, "hostKey of cluster.ssh.jumpHost is missing")
}

func TestProbeDecidesAboutTheRevision(t *testing.T) {
	cfg := lab(t, "lab-0=server")
	hosts := hostsOf(t, cfg)
	prepared, installed := prepareStep(cfg, hosts[0]).declared(), installStep(cfg, hosts, hosts[0]).declared()
	answer := func(text string, failure error) ProbeFunc {
		return func(context.Context, *Access, string, string) (string, error) { return text, failure }
	}
	update := func(t *testing.T, ask ProbeFunc) (string, string, []string) {
		t.Helper()
		r, err := deploy(t, cfg, ask)
		require.NoError(t, err)
		word := func(name string) string {
			text := plain(r.resources[name].Inputs["update"])
			return text[strings.LastIndex(text, " ")+1:]
		}
		return word("k3s-prepare-lab-0"), word("k3s-install-lab-0"), r.resources["k3s-install-lab-0"].RegisterRPC.GetIgnoreChanges()
	}
	healthy := "step install 5e " + installed + "\nstep prepare 0 " + prepared + "\nend\n"

	prepare, install, ignored := update(t, answer(healthy, nil))
	assert.Equal(t, "revision:0", prepare)
	assert.Equal(t, "revision:5e", install)
	assert.Empty(t, ignored)

	drifted := strings.Replace(healthy, "end\n", "drift install /usr/local/bin/k3s missing\nend\n", 1)
	prepare, repaired, ignored := update(t, answer(drifted, nil))
	assert.Equal(t, "revision:0", prepare)
	assert.NotEqual(t, install, repaired)
	assert.Empty(t, ignored)
	_, again, _ := update(t, answer(drifted, nil))
	assert.Equal(t, repaired, again)

	restored := strings.Replace(healthy, installed, strings.Repeat("0", 64), 1)
	_, older, _ := update(t, answer(restored, nil))
	assert.NotEqual(t, install, older, "a host that was set back is brought forward")

	_, fresh, ignored := update(t, answer("end\n", nil))
	assert.Equal(t, "revision:0", fresh)
	assert.Empty(t, ignored)

	for name, ask := range map[string]ProbeFunc{
		"none": nil, "unreachable": answer("", errors.New("no route to host")), "cut": answer("step install 5e", nil),
	} {
		_, _, ignored = update(t, ask)
		assert.Equal(t, []string{"update"}, ignored, name)
	}

	_, err := deploy(t, cfg, answer("", errHostKey))
	require.ErrorContains(t, err, "node lab-0: host key mismatch")
}
