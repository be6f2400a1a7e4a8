// Package recording runs a Pulumi program without an engine and keeps what it registered, for the tests of components.
package recording

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/homelab-ai/homelab-ai/config"
)

// Graph is what a program registered.
type Graph struct {
	// Stashed is what a Stash kept from an earlier update. Default: what it is given.
	Stashed string
	// Preview runs the program as a preview.
	Preview bool

	mu        sync.Mutex
	resources map[string]pulumi.MockResourceArgs
	generated []string
}

// Run runs a program against a new graph and fails the test if the program does.
func Run(t *testing.T, program func(ctx *pulumi.Context) error) *Graph {
	t.Helper()
	graph := &Graph{}
	require.NoError(t, graph.Run(program))
	return graph
}

// Run runs a program against this graph.
func (g *Graph) Run(program func(ctx *pulumi.Context) error) error {
	g.resources, g.generated = map[string]pulumi.MockResourceArgs{}, nil
	return pulumi.RunErr(program, pulumi.WithMocks("homelab-ai", "staging", g), func(info *pulumi.RunInfo) {
		info.DryRun = g.Preview
	})
}

// Stack is the config of a committed stack: homelab or staging. Tests change it as they like.
func Stack(t *testing.T, name string) *config.Config {
	t.Helper()
	cfg, err := config.ParseStackFile(filepath.Join("..", "..", "Pulumi."+name+".yaml"))
	require.NoError(t, err)
	return cfg
}

// Provider is a Kubernetes provider for components that are tested without a cluster.
func Provider(ctx *pulumi.Context) (pulumi.ResourceOption, error) {
	provider, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{})
	return pulumi.Providers(provider), err
}

// NewResource implements pulumi.MockResourceMonitor.
func (g *Graph) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, twice := g.resources[args.Name]; twice {
		return "", nil, errors.New("two resources are named " + args.Name)
	}
	g.resources[args.Name] = args
	state := args.Inputs.Copy()
	switch args.TypeToken {
	case "random:index/randomPassword:RandomPassword":
		for _, key := range []resource.PropertyKey{"result", "bcryptHash"} {
			value := random()
			g.generated = append(g.generated, value)
			state[key] = resource.MakeSecret(resource.NewProperty(value))
		}
	case "pulumi:index:Stash":
		state["output"] = state["input"]
		if g.Stashed != "" {
			state["output"] = resource.NewProperty(g.Stashed)
		}
	case "command:remote:Command":
		state["stdout"] = resource.NewProperty("-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n")
	case "kubernetes:helm.sh/v3:Release":
		state["status"] = resource.NewProperty(resource.PropertyMap{"status": resource.NewProperty("deployed")})
	}
	return args.Name, state, nil
}

// Call implements pulumi.MockResourceMonitor.
func (g *Graph) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, errors.New("nothing is expected to call " + args.Token)
}

// Inputs of a resource as plain values, whatever of them is secret.
func (g *Graph) Inputs(t *testing.T, name string) map[string]any {
	t.Helper()
	require.Contains(t, g.resources, name, "registered are %s", strings.Join(g.Names(""), ", "))
	return plain(resource.NewProperty(g.resources[name].Inputs)).(map[string]any)
}

// Properties are the inputs of a resource as the engine sees them.
func (g *Graph) Properties(t *testing.T, name string) resource.PropertyMap {
	t.Helper()
	require.Contains(t, g.resources, name)
	return g.resources[name].Inputs
}

// DependsOn tells whether a resource names another one, given by its name, among its dependencies.
func (g *Graph) DependsOn(t *testing.T, name, on string) bool {
	t.Helper()
	require.Contains(t, g.resources, name)
	require.Contains(t, g.resources, on)
	return slices.ContainsFunc(g.resources[name].RegisterRPC.GetDependencies(), func(urn string) bool {
		return strings.HasSuffix(urn, "::"+on)
	})
}

// Names of the resources of a type; of all with an empty token. Sorted.
func (g *Graph) Names(token string) []string {
	var names []string
	for name, args := range g.resources {
		if token == "" || args.TypeToken == token {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Protected tells whether a resource refuses its deletion.
func (g *Graph) Protected(t *testing.T, name string) bool {
	t.Helper()
	require.Contains(t, g.resources, name)
	return g.resources[name].RegisterRPC.GetProtect()
}

// Generated are the random values that were handed out.
func (g *Graph) Generated() []string { return slices.Clone(g.generated) }

// At returns the value at a path of map keys.
func At(t *testing.T, tree any, path ...string) any {
	t.Helper()
	for _, key := range path {
		level, ok := tree.(map[string]any)
		require.True(t, ok, "no map above %q in %v", key, path)
		require.Contains(t, level, key, "at %v", path)
		tree = level[key]
	}
	return tree
}

// plain turns a property into plain Go values.
func plain(value resource.PropertyValue) any {
	switch {
	case value.IsSecret():
		return plain(value.SecretValue().Element)
	case value.IsOutput():
		return plain(value.OutputValue().Element)
	case value.IsObject():
		tree := map[string]any{}
		for key, element := range value.ObjectValue() {
			tree[string(key)] = plain(element)
		}
		return tree
	case value.IsArray():
		list := []any{}
		for _, element := range value.ArrayValue() {
			list = append(list, plain(element))
		}
		return list
	default:
		return value.V
	}
}

func random() string {
	bytes := make([]byte, 16)
	if _, err := rand.Read(bytes); err != nil {
		panic(err)
	}
	return hex.EncodeToString(bytes)
}
